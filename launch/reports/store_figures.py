# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a store's report, from the numbers that stand beside them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from launch.reports.page import Ink, draw, format_count

if TYPE_CHECKING:
  from matplotlib.axes import Axes

# By split, in their order: bars behind, then an outline.
_INKS = (Ink.FIRST, Ink.SECOND)


def draw_sizes(
  histograms: Mapping[str, Mapping[str, Sequence[int]]],
  label: str,
  marks: Mapping[str, int] | None = None,
) -> str:
  """Shares of documents or sentences by size, on a logarithmic axis.

  Args:
    histograms: by split, `edges` and `counts`; the first as bars.
    label: of the axis; another one for each figure of a page.
    marks: sizes to point at, by what they are called.
  """
  from matplotlib.ticker import LogLocator

  with draw(label) as drawing:
    axes = drawing.axes
    for (name, histogram), ink in zip(histograms.items(), _INKS, strict=False):
      total = max(sum(histogram["counts"]), 1)
      axes.stairs(
        [count / total for count in histogram["counts"]],
        # Whole numbers stand in the middle of their bins.
        [edge - 0.5 for edge in histogram["edges"]],
        fill=ink == Ink.FIRST,
        color=ink,
        linewidth=1.2,
        label=name,
      )
    axes.set_xscale("log")
    first, last = _limits(histograms.values(), (marks or {}).values())
    axes.set_xlim(first, last)
    # On a short axis a power of ten alone would stand there.
    axes.xaxis.set_major_locator(
      LogLocator(subs=(1, 2, 5) if last < 100 * first else (1,))
    )
    for called, size in (marks or {}).items():
      _mark(axes, called, size)
    axes.xaxis.set_major_formatter(lambda size, _: format_count(size))
    axes.xaxis.set_minor_formatter(lambda size, _: "")
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    axes.set_xlabel(label)
    if len(histograms) > 1:
      axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=2,
        borderaxespad=0,
        handlelength=1.2,
        fontsize=7,
      )
  return drawing.svg


def _limits(
  histograms: Iterable[Mapping[str, Sequence[int]]], marks: Iterable[int]
) -> tuple[float, float]:
  """From the least size there is to the largest, marks included."""
  first, last = [], []
  for histogram in histograms:
    filled = [i for i, count in enumerate(histogram["counts"]) if count]
    first.append(histogram["edges"][filled[0]])
    last.append(histogram["edges"][filled[-1] + 1])
  return 0.85 * min(*first, *marks, 1e9), 1.1 * max(*last, *marks, 2)


def _mark(axes: "Axes", called: str, size: int) -> None:
  axes.axvline(size, color=Ink.MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
  axes.annotate(
    called,
    (size, 1),
    xycoords=("data", "axes fraction"),
    xytext=(3, -1),
    textcoords="offset points",
    verticalalignment="top",
    fontsize=7,
    color=Ink.MUTED,
  )


def draw_coverage(coverage: Sequence[Mapping[str, Any]]) -> str:
  """Share of the text that the commonest pieces make up, by their number."""
  with draw("coverage") as drawing:
    axes = drawing.axes
    axes.plot(
      [point["pieces"] for point in coverage],
      [point["share"] for point in coverage],
      color=Ink.FIRST,
      linewidth=1.8,
    )
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(lambda size, _: format_count(size))
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    axes.set_xlabel("commonest pieces")
  return drawing.svg
