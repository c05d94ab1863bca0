# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A self-contained HTML page from a template, with figures as inline SVG.

Equal content gives equal bytes: a page has no times, hosts or paths. Figures
are drawn in the placeholder colors of `Ink`, which become variables of the
style sheet, so that figures follow a light or a dark color scheme.
"""

import io
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_SPACE = "\u00a0"  # between a number and its unit


class Ink:
  """Colors to draw with; each stands for a variable of the style sheet."""

  TEXT = "#000001"
  MUTED = "#000002"
  GRID = "#000003"
  FIRST = "#000004"
  SECOND = "#000005"


_VARIABLES = {
  Ink.TEXT: "var(--text)",
  Ink.MUTED: "var(--muted)",
  Ink.GRID: "var(--line)",
  Ink.FIRST: "var(--first)",
  Ink.SECOND: "var(--second)",
}
_STYLE: Any = {
  "svg.fonttype": "none",  # text stays text, in the font of the page
  "font.size": 8,
  "text.color": Ink.TEXT,
  "axes.edgecolor": Ink.GRID,
  "axes.labelcolor": Ink.MUTED,
  "axes.spines.top": False,
  "axes.spines.right": False,
  "axes.grid": True,
  "axes.grid.axis": "y",
  "axes.axisbelow": True,
  "grid.color": Ink.GRID,
  "grid.linewidth": 0.6,
  "xtick.color": Ink.GRID,
  "ytick.color": Ink.GRID,
  "xtick.labelcolor": Ink.MUTED,
  "ytick.labelcolor": Ink.MUTED,
  "ytick.major.size": 0,
  "legend.frameon": False,
  "legend.labelcolor": Ink.TEXT,
}


class Drawing:
  """A figure with one pair of axes, or with several below each other.

  Attributes:
    axes: the axes to draw on, the upper ones of several.
    panels: all axes, from the top; they share their x axis.
    svg: the SVG element for the page; set when the block of `draw` ends.
  """

  def __init__(self, figure: "Figure", heights: Sequence[float]) -> None:
    self._figure = figure
    self.panels: Sequence[Axes] = figure.subplots(
      len(heights), sharex=True, squeeze=False, height_ratios=heights
    )[:, 0].tolist()
    self.axes: Axes = self.panels[0]
    self.svg = ""

  def finish(self) -> None:
    """Render the figure into `svg`."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    self._figure.savefig(file, format="svg", metadata=nothing, transparent=True)
    self.svg = _inline(file.getvalue())


@contextmanager
def draw(
  name: str,
  width: float = 4.6,
  height: float = 2.3,
  heights: Sequence[float] = (1,),
) -> Iterator[Drawing]:
  """Yield a drawing; draw on its `axes` in the block, use its `svg` after it.

  Args:
    name: name of the figure, unique on its page.
    width: inches; the page scales the figure to its own width.
    height: inches.
    heights: relative heights of the axes below each other.
  """
  import matplotlib
  from matplotlib.figure import Figure

  with matplotlib.rc_context():
    matplotlib.rcdefaults()  # ignores a user's matplotlibrc
    matplotlib.rcParams.update(_STYLE)
    # Matplotlib hashes this into its ids, which would be random otherwise.
    matplotlib.rcParams["svg.hashsalt"] = name
    figure = Figure(figsize=(width, height), layout="constrained")
    drawing = Drawing(figure, heights)
    yield drawing
    drawing.finish()


def _inline(svg: str) -> str:
  """Turn an SVG file into an element without ids and size, in page colors."""
  svg = svg[svg.index("<svg") :].strip()
  svg = re.sub(r'<svg [^>]*(viewBox="[^"]*")[^>]*>', r"<svg \1>", svg, count=1)
  # Groups have the same ids in every figure, and nothing refers to them.
  svg = re.sub(r'<g id="[^"]*"', "<g", svg)
  svg = svg.replace("xlink:href", "href")
  svg = re.sub(r"font: ([0-9.]+px) [^;\"]*", r"font-size: \1", svg)
  svg = re.sub(r"font-family: [^;\"]*", "", svg)
  for color, variable in _VARIABLES.items():
    svg = svg.replace(color, variable)
  return svg


def render(template: str, content: Mapping[str, Any]) -> str:
  """Fill a template; all text is escaped.

  Args:
    template: file name in the folder `templates`.
    content: the values that the template uses; a missing name is an error.
      The template itself marks the SVG of `draw` as safe.
  """
  import jinja2

  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters.update(
    count=format_count, share=format_share, number=format_number
  )
  return environment.get_template(template).render(content) + "\n"


def literal(text: str) -> str:
  """Return a text for a figure, where dollar signs would begin a formula."""
  return text.replace("$", r"\$")


def format_count(value: float) -> str:
  """Format a whole number with thousands separators."""
  return f"{value:,.0f}"


def format_share(value: float) -> str:
  """Format a share as a percentage that shows 0 only for 0."""
  percent = 100 * value
  if not value:
    return f"0{_SPACE}%"
  if 0 < percent < 0.1:
    return f"{percent:.1g}{_SPACE}%" if percent >= 1e-4 else f"<0.0001{_SPACE}%"
  return f"{percent:.1f}{_SPACE}%"


def format_number(value: float) -> str:
  """Format a number with two decimals, or with none from 100 on."""
  return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
