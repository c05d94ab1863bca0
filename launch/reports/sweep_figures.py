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
    styles = ((Ink.FIRST, "-"), (Ink.SECOND, (0, (4, 1.5))))
    for (arm, curve), (ink, dashes) in zip(
      curves.items(), styles, strict=False
    ):
      _plot(axes, arm, curve, ink, dashes)
    room = 0.05 * (limits[1] - limits[0]) or 0.05
    axes.set_ylim(limits[0] - room, limits[1] + room)
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=4)
    if max(_all(curves, "at")) >= 1_000:  # 50 k
      axes.xaxis.set_major_formatter(EngFormatter(sep="\u00a0"))
    axes.set_xlabel(over)
    axes.legend(fontsize=7, loc="best")
  return drawing.svg


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


def _plot(axes: "Axes", arm: str, curve: Curve, ink: str, dashes: Any) -> None:
  length = min(len(points["at"]) for points in curve.values())
  at_SP = np.array([points["at"][:length] for points in curve.values()])
  values_SP = np.array([points["values"][:length] for points in curve.values()])
  at_P = at_SP.mean(axis=0)
  low_P, high_P = values_SP.min(axis=0), values_SP.max(axis=0)
  if len(values_SP) > 1:
    axes.fill_between(at_P, low_P, high_P, color=ink, alpha=0.2, linewidth=0)
  axes.plot(
    at_P,
    values_SP.mean(axis=0),
    color=ink,
    linestyle=dashes,
    linewidth=1.4,
    label=_short(arm),
  )


def _short(name: str) -> str:
  cut = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
  return literal(cut)
