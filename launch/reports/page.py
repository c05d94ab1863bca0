# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One self-contained page: templates, figures as inline SVG, and its files.

Equal content gives equal bytes: no clock, no host, no path. Figures are drawn
in the stand-in colours of `Ink`, which the page turns into variables of its
style sheet, so that they follow a light or a dark scheme.
"""

import io
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_SPACE = "\u00a0"  # between a number and its unit


class Ink:
  """Colours to draw with; the style sheet has a variable for each."""

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
  "svg.fonttype": "none",  # letters stay letters, in the page's own font
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
  """A figure with one pair of axes, and in the end its `svg`.

  Attributes:
    axes: to draw on.
    svg: an element for the page, once `draw` is left.
  """

  def __init__(self, figure: "Figure") -> None:
    self._figure = figure
    self.axes: Axes = figure.subplots()
    self.svg = ""

  def finish(self) -> None:
    """Write the figure into `svg`."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    self._figure.savefig(file, format="svg", metadata=nothing, transparent=True)
    self.svg = _inline(file.getvalue())


@contextmanager
def draw(
  name: str, width: float = 4.6, height: float = 2.3
) -> Iterator[Drawing]:
  """Draw on `axes` inside, and take `svg` afterwards.

  Args:
    name: of the figure, another one than any other's on its page.
    width: in inches; the page scales it to its own.
    height: in inches.
  """
  import matplotlib
  from matplotlib.figure import Figure

  with matplotlib.rc_context():
    matplotlib.rcdefaults()  # nor does a user's matplotlibrc show
    matplotlib.rcParams.update(_STYLE)
    # Ids are hashes of what they stand for and of this.
    matplotlib.rcParams["svg.hashsalt"] = name
    drawing = Drawing(Figure(figsize=(width, height), layout="constrained"))
    yield drawing
    drawing.finish()


def _inline(svg: str) -> str:
  """An SVG file as an element: no names of its own, no size, page colours."""
  svg = svg[svg.index("<svg") :].strip()
  svg = re.sub(r'<svg [^>]*(viewBox="[^"]*")[^>]*>', r"<svg \1>", svg, count=1)
  # Groups are named alike in every figure; nothing refers to them.
  svg = re.sub(r'<g id="[^"]*"', "<g", svg)
  svg = svg.replace("xlink:href", "href")
  svg = re.sub(r"font: ([0-9.]+px) [^;\"]*", r"font-size: \1", svg)
  svg = re.sub(r"font-family: [^;\"]*", "", svg)
  for colour, variable in _VARIABLES.items():
    svg = svg.replace(colour, variable)
  return svg


def render(template: str, content: Mapping[str, Any]) -> str:
  """Fill a template of this package; all text in it is escaped.

  Args:
    template: file name under `templates`.
    content: what it calls by name; a name without a value is an error. SVG of
      `draw` is marked as safe by the template itself.
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


def format_count(value: float) -> str:
  """A whole number, its thousands apart."""
  return f"{value:,.0f}"


def format_share(value: float) -> str:
  """A share in per cent; a small one keeps two digits of its own."""
  percent = 100 * value
  if not value:
    return f"0{_SPACE}%"
  if 0 < percent < 0.1:
    return f"{percent:.1g}{_SPACE}%" if percent >= 1e-4 else f"<0.0001{_SPACE}%"
  return f"{percent:.1f}{_SPACE}%"


def format_number(value: float) -> str:
  """A number with two digits after the point, or none where it is large."""
  return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"


def write(path: str | os.PathLike[str], text: str) -> pathlib.Path:
  """Write a file whole or not at all."""
  target = pathlib.Path(path)
  partial = target.with_name(target.name + ".partial")
  partial.write_text(text, encoding="utf-8", newline="\n")
  partial.replace(target)
  return target


def write_json(path: str | os.PathLike[str], values: Any) -> pathlib.Path:
  """Write values as JSON, names sorted; NaN is an error."""
  text = json.dumps(
    values, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False
  )
  return write(path, text + "\n")
