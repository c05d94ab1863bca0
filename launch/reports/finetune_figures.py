# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Draw the figures of the page of a fine-tuning run."""

from collections.abc import Mapping, Sequence

import numpy as np

from bertjax.finetune.scores.calibration import Reliability
from bertjax.finetune.task import Scores
from bertjax.trials.statistics import Summary
from launch.reports.page import Ink, draw, literal

# A page of more points is slow to open.
_POINTS = 2000
# Areas of dots, in square points.
_SMALLEST_DOT, _LARGEST_DOT = 2.0, 60.0


def draw_curves(curves: Mapping[int, Sequence[Scores]], metric: str) -> str:
  """Draw the metric on dev after some steps, a line for each seed.

  A point is no line: where dev was scored once, this is "".

  Args:
    curves: {seed: its evaluations}.
    metric: name of the score.
  """
  if all(len(curve) < 2 for curve in curves.values()):
    return ""
  with draw("curves") as drawing:
    axes = drawing.axes
    for seed, curve in curves.items():
      steps = [each["step"] for each in curve]
      values = [each[metric] for each in curve]
      axes.plot(steps, values, color=Ink.FIRST, linewidth=1.2, alpha=0.8)
      axes.plot(steps[-1:], values[-1:], "o", color=Ink.FIRST, markersize=3)
      axes.annotate(
        str(seed),
        (steps[-1], values[-1]),
        xytext=(4, 0),
        textcoords="offset points",
        verticalalignment="center",
        fontsize=6,
        color=Ink.MUTED,
      )
    axes.set_xlabel("steps")
    axes.set_ylabel(f"{metric.replace('_', ' ')} on dev")
  return drawing.svg


def draw_cosines(cosines: Sequence[Summary]) -> str:
  """Draw the mean cosine of each layer to its start, and its spread."""
  layers = range(1, len(cosines) + 1)
  with draw("cosines") as drawing:
    axes = drawing.axes
    axes.errorbar(
      layers,
      [each.mean for each in cosines],
      yerr=[each.std or 0.0 for each in cosines],
      color=Ink.FIRST,
      linewidth=1.2,
      marker="o",
      markersize=3,
      capsize=2,
    )
    axes.set_xlim(0.5, len(cosines) + 0.5)
    axes.locator_params(axis="x", integer=True)
    axes.set_ylim(top=1.02)
    axes.set_xlabel("layer")
    axes.set_ylabel("cosine to the start")
  return drawing.svg


def draw_reliability(curves: Mapping[str, Reliability]) -> str:
  """Draw the share that is right against the probability of the answers.

  Args:
    curves: {what the probabilities are: their reliability}, at most two.
  """
  with draw("reliability") as drawing:
    axes = drawing.axes
    axes.plot([0, 1], [0, 1], color=Ink.MUTED, linestyle=(0, (3, 2)))
    for (name, found), (ink, mark) in zip(
      curves.items(), ((Ink.FIRST, "o"), (Ink.SECOND, "s")), strict=False
    ):
      count_B = np.asarray(found.examples)
      some_B = count_B > 0  # an empty bin has no share
      x, y = (
        np.asarray(each)[some_B]
        for each in (found.confidences, found.accuracies)
      )
      label = f"{name}: error {found.error:.3f}"
      axes.plot(x, y, color=ink, linewidth=1, alpha=0.6)
      # The area of a dot grows with its examples.
      sizes = _SMALLEST_DOT + _LARGEST_DOT * count_B[some_B] / count_B.max()
      axes.scatter(x, y, sizes, color=ink, linewidths=0, marker=mark)
      axes.plot([], [], mark, color=ink, markersize=4, label=label)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.04)
    axes.legend(fontsize=7, loc="best")
    axes.set_xlabel("probability of the answer")
    axes.set_ylabel("share that is right")
  return drawing.svg


def draw_scores(predicted_N: np.ndarray, gold_N: np.ndarray) -> tuple[str, int]:
  """Draw given scores against right ones; return the points that are drawn.

  Of many points, evenly spaced ones are drawn.
  """
  every = -(-len(gold_N) // _POINTS)
  predicted_N, gold_N = predicted_N[::every], gold_N[::every]
  both = np.concatenate([predicted_N, gold_N])
  ends = [float(both.min()), float(both.max())]
  with draw("scores") as drawing:
    axes = drawing.axes
    axes.plot(ends, ends, color=Ink.MUTED, linestyle=(0, (3, 2)))
    axes.plot(
      gold_N, predicted_N, "o", color=Ink.FIRST, markersize=2.5, alpha=0.4
    )
    axes.set_xlabel("wanted score")
    axes.set_ylabel("given score")
  return drawing.svg, len(gold_N)


def draw_residuals(predicted_N: np.ndarray, gold_N: np.ndarray) -> str:
  """Draw how often scores are off by how much."""
  with draw("residuals") as drawing:
    axes = drawing.axes
    axes.hist(predicted_N - gold_N, bins=31, color=Ink.FIRST, alpha=0.7)
    axes.axvline(0, color=Ink.MUTED, linestyle=(0, (3, 2)))
    axes.set_xlabel("given score − wanted score")
    axes.set_ylabel("texts")
  return drawing.svg


def draw_lengths(length_N: np.ndarray, limit: int) -> str:
  """Draw how many texts have how many tokens, up to the length of a row."""
  with draw("lengths") as drawing:
    axes = drawing.axes
    bins = np.linspace(0, limit, min(limit, 32) + 1)
    axes.hist(length_N, bins=bins.tolist(), color=Ink.FIRST, alpha=0.7)
    axes.set_xlim(0, limit)
    axes.set_xlabel("tokens, with [CLS] and [SEP]")
    axes.set_ylabel("texts")
  return drawing.svg


def draw_confusion(matrix_CC: np.ndarray, labels: Sequence[str]) -> str:
  """Draw how often a label (row) is answered by a label (column)."""
  from matplotlib.patches import Rectangle

  share_CC = matrix_CC / np.maximum(matrix_CC.sum(axis=1, keepdims=True), 1)
  size = len(labels)
  side = max(2.6, 0.3 * size)
  with draw("confusion", width=side + 1.2, height=side) as drawing:
    axes = drawing.axes
    axes.grid(visible=False)
    for row in range(size):
      for column in range(size):
        if not matrix_CC[row, column]:
          continue
        ink = Ink.FIRST if row == column else Ink.SECOND
        share = share_CC[row, column]
        corner, alpha = (column - 0.5, row - 0.5), 0.15 + 0.85 * share
        axes.add_patch(Rectangle(corner, 1, 1, color=ink, alpha=alpha))
        axes.annotate(
          f"{matrix_CC[row, column]:,}",
          (column, row),
          horizontalalignment="center",
          verticalalignment="center",
          fontsize=6,
          color=Ink.TEXT,
        )
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)
    shown = [literal(label) for label in labels]
    axes.set_xticks(range(size), shown, rotation=90)
    axes.set_yticks(range(size), shown)
    axes.set_xlabel("given")
    axes.set_ylabel("wanted")
  return drawing.svg
