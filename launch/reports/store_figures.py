# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a store's report."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from launch.reports.page import Ink, draw, format_count

if TYPE_CHECKING:
  from matplotlib.axes import Axes

# Colors of the splits in order: the first is drawn as bars, the second as an
# outline.
_INKS = (Ink.FIRST, Ink.SECOND)


def draw_sizes(
  histograms: Mapping[str, Mapping[str, Sequence[int]]],
  label: str,
  marks: Mapping[str, int] | None = None,
) -> str:
  """Draw the shares of documents or sentences by size, on a log axis.

  Args:
    histograms: split → `edges` and `counts`.
    label: label of the axis, unique on its page.
    marks: name → size at which to draw a vertical line.
  """
  from matplotlib.ticker import LogLocator

  with draw(label) as drawing:
    axes = drawing.axes
    for (name, histogram), ink in zip(histograms.items(), _INKS, strict=False):
      total = max(sum(histogram["counts"]), 1)
      axes.stairs(
        [count / total for count in histogram["counts"]],
        # Shifted, so that whole numbers are in the middle of their bins.
        [edge - 0.5 for edge in histogram["edges"]],
        fill=ink == Ink.FIRST,
        color=ink,
        linewidth=1.2,
        label=name,
      )
    axes.set_xscale("log")
    first, last = _limits(histograms.values(), (marks or {}).values())
    axes.set_xlim(first, last)
    # A short axis may contain only one power of ten.
    axes.xaxis.set_major_locator(
      LogLocator(subs=(1, 2, 5) if last < 100 * first else (1,))
    )
    for name, size in (marks or {}).items():
      _mark(axes, name, size)
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
  """Return the limits of an axis that shows all sizes and marks."""
  first, last = [], []
  for histogram in histograms:
    filled = [i for i, count in enumerate(histogram["counts"]) if count]
    first.append(histogram["edges"][filled[0]])
    last.append(histogram["edges"][filled[-1] + 1])
  return 0.85 * min(*first, *marks, 1e9), 1.1 * max(*last, *marks, 2)


def _mark(axes: "Axes", name: str, size: int) -> None:
  axes.axvline(size, color=Ink.MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
  axes.annotate(
    name,
    (size, 1),
    xycoords=("data", "axes fraction"),
    xytext=(3, -1),
    textcoords="offset points",
    verticalalignment="top",
    fontsize=7,
    color=Ink.MUTED,
  )


def draw_coverage(coverage: Sequence[Mapping[str, Any]]) -> str:
  """Draw which share of the text the N commonest tokens make up."""
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
    axes.set_xlabel("number of commonest tokens")
  return drawing.svg
