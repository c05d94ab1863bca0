# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Draw the figures of the page of a study.

Two colors serve any number of arms: a panel has the baseline and one arm, and
lines differ in their dashes as well.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from launch.reports.page import Ink, draw, literal

if TYPE_CHECKING:
  from matplotlib.axes import Axes

# Characters of a name in a figure; tables have the whole of it.
_LONGEST = 28
# Seed → {"at": places, "values": values}.
Curve = Mapping[str, Mapping[str, Sequence[float]]]


def draw_forest(name: str, comparisons: Sequence[Mapping[str, Any]]) -> str:
  """Draw the paired differences of arms in one metric, with their intervals.

  A filled dot is a difference that stands after the correction for the number
  of comparisons. Small dots are the seeds.

  Args:
    name: name of the figure, unique on its page.
    comparisons: `Comparison`s as JSON.
  """
  with draw(name, height=0.75 + 0.3 * len(comparisons)) as drawing:
    axes = drawing.axes
    margin = comparisons[0]["margin"]
    if margin is not None:
      axes.axvspan(-margin, margin, color=Ink.MUTED, alpha=0.12, linewidth=0)
    axes.axvline(0, color=Ink.MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    for row, each in enumerate(comparisons):
      seeds = each["differences"]
      if len(seeds) > 1:
        below = [row + 0.24] * len(seeds)
        axes.plot(seeds, below, "o", color=Ink.MUTED, markersize=2, alpha=0.8)
      if each["interval"]:
        ends = [each["interval"]["low"], each["interval"]["high"]]
        axes.plot(ends, [row, row], color=Ink.FIRST, linewidth=1.6)
        axes.plot(ends, [row, row], "|", color=Ink.FIRST, markersize=6)
      axes.plot(
        [each["mean"]],
        [row],
        "o",
        color=Ink.FIRST,
        markersize=5,
        fillstyle="full" if each["conclusion"] == "different" else "none",
      )
    names = [_short(each["name"]) for each in comparisons]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.locator_params(axis="x", nbins=6)
    metric = comparisons[0]["metric"].replace("_", " ")
    baseline = _short(comparisons[0]["baseline"])
    axes.set_xlabel(f"{metric} minus that of {baseline}")
  return drawing.svg


def draw_curves(
  name: str, curves: Mapping[str, Curve], limits: tuple[float, float], over: str
) -> str:
  """Draw the curves of two arms: means, in bands from lowest to highest seed.

  Args:
    name: name of the figure, unique on its page.
    curves: those of the baseline and of another arm, by their names.
    limits: lowest and highest value of all panels.
    over: what the places of the points are.
  """
  from matplotlib.ticker import EngFormatter

  with draw(name, width=3.3, height=2.1) as drawing:
    axes = drawing.axes
    _plot_two(axes, curves)
    _set_limits(axes, limits)
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=4)
    if max(_all(curves, "at")) >= 1_000:  # 50 k
      axes.xaxis.set_major_formatter(EngFormatter(sep="\u00a0"))
    axes.set_xlabel(over)
  return drawing.svg


def draw_points(
  name: str,
  curves: Mapping[str, Curve],
  limits: tuple[float, float],
  comparisons: Mapping[str, Mapping[str, Any]],
  spread: tuple[float, float],
) -> str:
  """Draw what probes find along the runs of two arms, and the difference below.

  A stroke is the interval of a mean difference, and small dots are the seeds. A
  filled dot is a difference that stands after the correction.

  Args:
    name: name of the figure, unique on its page.
    curves: those of the baseline and of another arm, by their names.
    limits: lowest and highest value of all panels.
    comparisons: {share of the steps: `Comparison` as JSON}; with none, as where
      losses are of other rows, only the curves are drawn.
    spread: lowest and highest difference of all panels.
  """
  heights = (3, 2) if comparisons else (1,)
  height = 2.9 if comparisons else 2.1
  with draw(name, width=3.3, height=height, heights=heights) as drawing:
    _plot_two(drawing.axes, curves, marker="o")
    _set_limits(drawing.axes, limits)
    below = drawing.panels[-1]
    if comparisons:
      below.axhline(0, color=Ink.MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
      for share, each in comparisons.items():
        _plot_difference(below, float(share), each)
      _set_limits(below, spread)
      below.locator_params(axis="y", nbins=4)
      below.set_ylabel("difference")
    below.set_xlim(0, 1.03)
    below.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
    below.set_xlabel("share of the steps")
  return drawing.svg


def _plot_difference(
  axes: "Axes", place: float, each: Mapping[str, Any]
) -> None:
  seeds = each["differences"]
  if len(seeds) > 1:
    beside = [place - 0.02] * len(seeds)
    axes.plot(beside, seeds, "o", color=Ink.MUTED, markersize=2, alpha=0.8)
  if each["interval"]:
    ends = [each["interval"]["low"], each["interval"]["high"]]
    axes.plot([place, place], ends, color=Ink.SECOND, linewidth=1.4)
    axes.plot([place, place], ends, "_", color=Ink.SECOND, markersize=5)
  axes.plot(
    [place],
    [each["mean"]],
    "o",
    color=Ink.SECOND,
    markersize=4,
    fillstyle="full" if each["conclusion"] == "different" else "none",
  )


def spread_of(comparisons: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
  """Return the lowest and highest of differences, intervals and 0."""
  values = [0.0]
  for each in comparisons:
    values += each["differences"]
    if each["interval"]:
      values += [each["interval"]["low"], each["interval"]["high"]]
  return min(values), max(values)


def limits_of(curves: Mapping[str, Curve]) -> tuple[float, float]:
  """Return the lowest and the highest value of curves of all arms."""
  values = _all(curves, "values")
  return min(values), max(values)


def _all(curves: Mapping[str, Curve], what: str) -> list[float]:
  return [
    value
    for curve in curves.values()
    for points in curve.values()
    for value in points[what]
  ]


def _set_limits(axes: "Axes", limits: tuple[float, float]) -> None:
  room = 0.05 * (limits[1] - limits[0]) or 0.05
  axes.set_ylim(limits[0] - room, limits[1] + room)


def _plot_two(
  axes: "Axes", curves: Mapping[str, Curve], marker: str = ""
) -> None:
  """Plot the curves of the baseline and of another arm, with a legend."""
  styles = ((Ink.FIRST, "-"), (Ink.SECOND, (0, (4, 1.5))))
  for (arm, curve), (ink, dashes) in zip(curves.items(), styles, strict=False):
    _plot(axes, arm, curve, {"color": ink, "linestyle": dashes}, marker)
  axes.legend(fontsize=7, loc="best")


def _plot(
  axes: "Axes", arm: str, curve: Curve, style: Mapping[str, Any], marker: str
) -> None:
  length = min(len(points["at"]) for points in curve.values())
  at_SP = np.array([points["at"][:length] for points in curve.values()])
  values_SP = np.array([points["values"][:length] for points in curve.values()])
  at_P = at_SP.mean(axis=0)
  low_P, high_P = values_SP.min(axis=0), values_SP.max(axis=0)
  if len(values_SP) > 1:
    axes.fill_between(
      at_P, low_P, high_P, color=style["color"], alpha=0.2, linewidth=0
    )
  axes.plot(
    at_P,
    values_SP.mean(axis=0),
    **style,
    marker=marker or ("o" if length == 1 else ""),  # a point is no line
    markersize=3,
    linewidth=1.4,
    label=_short(arm),
  )


def _short(name: str) -> str:
  cut = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
  return literal(cut)
