# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Draw the curves and the scores of runs; a letter stands for each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from launch.compare.measures import tokens_at
from launch.compare.runs import Run
from launch.reports.page import Ink, draw

if TYPE_CHECKING:
  from matplotlib.axes import Axes

# Two colors in four kinds of line: more runs could not be told apart, and
# colors alone tell them apart for some readers only.
_STYLES: Any = [
  (ink, dashes)
  for dashes in ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
  for ink in (Ink.FIRST, Ink.SECOND)
]
MOST_RUNS = len(_STYLES)


def letter(number: int) -> str:
  """Return the letter of a run, counted from 0."""
  return chr(ord("A") + number)


def draw_validation(
  runs: Sequence[Run], metric: str, *, over_tokens: bool = False
) -> str:
  """Draw a validation metric over steps or over tokens; "" if none has it."""
  name = f"{metric}-{'tokens' if over_tokens else 'steps'}"
  with draw(name) as drawing:
    any_drawn = False
    for number, run in enumerate(runs):
      lines = [line for line in run.validation if metric in line]
      steps = [line["step"] for line in lines]
      places = tokens_at(run, steps) if over_tokens else steps
      if places:
        values = [line[metric] for line in lines]
        _plot(drawing.axes, number, places, values)
        any_drawn = True
    drawing.axes.set_xlabel("tokens seen" if over_tokens else "steps")
    drawing.axes.set_ylabel(f"validation {metric.replace('_', ' ')}")
  return drawing.svg if any_drawn else ""


def draw_speed(runs: Sequence[Run]) -> str:
  """Draw tokens a second over steps; "" if no run has times."""
  with draw("speed") as drawing:
    for number, run in enumerate(runs):
      if run.timing:
        steps = [line["step"] for line in run.timing]
        speeds = [line["tokens_per_second"] for line in run.timing]
        _plot(drawing.axes, number, steps, speeds)
    drawing.axes.set_ylim(bottom=0)
    drawing.axes.set_xlabel("steps")
    drawing.axes.set_ylabel("tokens a second")
  return drawing.svg if any(run.timing for run in runs) else ""


def draw_dev(runs: Sequence[Run], metric: str) -> str:
  """Draw the score on dev over the steps, a line for each seed of each run."""
  with draw("dev") as drawing:
    for number, run in enumerate(runs):
      for curve in run.curves.values():
        points = [each for each in curve if metric in each]
        steps = [each["step"] for each in points]
        _plot(drawing.axes, number, steps, [each[metric] for each in points])
    drawing.axes.set_xlabel("steps")
    drawing.axes.set_ylabel(f"{metric.replace('_', ' ')} on dev")
  return drawing.svg if any(run.curves for run in runs) else ""


def draw_scores(runs: Sequence[Run], split: str, metric: str) -> str:
  """Draw the score of every seed, a line of dots for each run."""
  with draw("scores", height=0.7 + 0.3 * len(runs)) as drawing:
    axes = drawing.axes
    for number, run in enumerate(runs):
      assert run.result is not None
      summary = run.result.scores.summary(split, metric)
      if summary is None:
        continue
      ink, _ = _STYLES[number]
      row = [number] * len(summary.values)
      axes.plot(summary.values, row, "o", color=ink, markersize=4, alpha=0.7)
      axes.plot([summary.mean], [number], "|", color=Ink.TEXT, markersize=12)
    axes.set_yticks(range(len(runs)), [letter(n) for n in range(len(runs))])
    axes.set_ylim(len(runs) - 0.5, -0.5)
    axes.grid(axis="x")
    axes.set_xlabel(f"{metric.replace('_', ' ')} on {split}")
  return drawing.svg


def _plot(
  axes: "Axes", number: int, places: Sequence[float], values: Sequence[float]
) -> None:
  if not places:
    return
  ink, dashes = _STYLES[number]
  axes.plot(places, values, color=ink, linestyle=dashes, linewidth=1.3)
  axes.plot(places[-1:], values[-1:], "o", color=ink, markersize=3)
  axes.annotate(
    letter(number),
    (places[-1], values[-1]),
    xytext=(5, 0),
    textcoords="offset points",
    verticalalignment="center",
    fontsize=7,
    color=Ink.TEXT,
  )
