# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page of a fine-tuning run: spread, calibration and mistakes."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from bertjax import files
from bertjax.finetune.results import (
  ArmResult,
  ClassScores,
  columns,
  splits,
)
from bertjax.finetune.review import Review
from bertjax.finetune.scores.calibration import class_reliability
from bertjax.finetune.scores.classes import confusion_matrix
from bertjax.finetune.scores.logits import probabilities
from bertjax.finetune.task import FinetuneTask
from bertjax.finetune.windows import pool
from bertjax.interop.outputs import SINGLE_LABEL
from bertjax.trials.statistics import Summary
from launch.reports import finetune_figures, page

# A larger matrix is a table of its largest cells instead.
_LARGEST_MATRIX = 24
_SHOWN = 20
_CLASS_COLUMNS = ("class", "texts", "predicted", "precision", "recall", "F1")


def write(
  path: pathlib.Path,
  result: ArmResult,
  review: Review,
  task: FinetuneTask,
  tokens: Sequence[str],
  cut: str,
) -> None:
  """Write the page.

  Args:
    path: path of the page.
    result: results of the run.
    review: runs and answers of its best model.
    task: kind of task.
    tokens: the text of every token id.
    cut: a sentence on what was cut.
  """
  view = {**make_view(result, review, task, tokens), "cut": cut}
  files.write_text(path, page.render("finetune_report.html", view))


def make_view(
  result: ArmResult,
  review: Review,
  task: FinetuneTask,
  tokens: Sequence[str],
) -> dict[str, Any]:
  """Return the values that the template uses, but for what was cut."""
  scores = result.scores
  shown = splits(result.examples)
  names = [name for name in scores.dev if name != "loss"] + ["loss"]
  curves = {seed: run.curve for seed, run in review.runs.items()}
  return {
    "name": result.task,
    "lead": _lead(result),
    "cards": _cards(result, task),
    "notes": _notes(result),
    "metric": scores.metric.replace("_", " "),
    "scored": result.scored,
    "splits": shown,
    "scores": [
      [
        name.replace("_", " "),
        *(_cell(scores.summary(split, name)) for split in shown),
      ]
      for name in names
    ],
    "curves": finetune_figures.draw_curves(curves, scores.metric),
    "seed_columns": ["seed", "best step", *shown, "training loss"],
    "seed_rows": [
      [
        f"{seed}, saved" if seed == review.best else str(seed),
        f"{run.best_step:,}",
        *(f"{getattr(run, split)[scores.metric]:.4f}" for split in shown),
        f"{run.train_loss:.4f}",
      ]
      for seed, run in review.runs.items()
    ],
    "lengths": finetune_figures.draw_lengths(
      review.windows.length_N, int(review.windows["tokens_NS"].shape[1])
    ),
    **_forgotten(result),
    "class_columns": _CLASS_COLUMNS,
    "classes": [_class_row(each, result.scored) for each in result.classes],
    **_mistakes(result, review, task, tokens),
  }


def _lead(result: ArmResult) -> str:
  examples = ", ".join(
    f"{count:,} {split}" for split, count in result.examples.items()
  )
  start = "random parameters" if result.init == "scratch" else "a bundle"
  return (
    f"Fine-tuned from {start} on {examples} examples, {result.steps:,} steps, "
    f"learning rate {result.scores.learning_rate:g}."
  )


def _cards(result: ArmResult, task: FinetuneTask) -> list[tuple[str, str]]:
  shown = columns(task, [result.scores.metric], splits(result.examples))
  cards = [
    (_cell(result.scores.summary(split, score)), name)
    for name, (split, score) in shown.items()
  ]
  seeds = len(result.scores.seeds)
  return [*cards, (str(seeds), "seed" if seeds == 1 else "seeds")]


def _notes(result: ArmResult) -> list[str]:
  notes = []
  if result.scores.diverged:
    seeds = ", ".join(result.scores.diverged)
    notes.append(f"Seeds that diverged and are not in the scores: {seeds}.")
  if result.degenerate_seeds:
    seeds = ", ".join(map(str, result.degenerate_seeds))
    notes.append(
      "Seeds that predict only one class, score, choice or place, or nothing, "
      f"on dev, and are in the scores: {seeds}."
    )
  if result.never_predicted:
    notes.append(f"Never predicted: {', '.join(result.never_predicted)}.")
  return notes


def _forgotten(result: ArmResult) -> dict[str, Any]:
  """Return what was forgotten of pre-training; nothing where not measured."""
  found = result.forgetting
  if found is None:
    return {"cosines": "", "forgotten": ""}
  return {
    "cosines": finetune_figures.draw_cosines(found.cosines),
    "forgotten": (
      "Masked-LM loss on the reference store, with the head of the bundle: "
      f"{found.mlm_loss_before:.4f} nats before fine-tuning, "
      f"{_cell(found.mlm_loss)} after it."
    ),
    "cosine_rows": [
      [str(layer), _cell(each)] for layer, each in enumerate(found.cosines, 1)
    ],
  }


def _mistakes(
  result: ArmResult,
  review: Review,
  task: FinetuneTask,
  tokens: Sequence[str],
) -> dict[str, Any]:
  """Return calibration, confusion and mistakes; nothing without classes.

  The windows of a long text are one text.
  """
  view: dict[str, Any] = dict.fromkeys(
    ("reliability", "confusion", "confused", "mistakes"), ""
  )
  if task.problem_type != SINGLE_LABEL or "logits_NC" not in review.outputs:
    return view
  outputs, windows = pool(review.outputs, review.windows)
  review = dataclasses.replace(review, outputs=outputs, windows=windows)
  logits_NC, labels_N = outputs["logits_NC"], windows["label_N"]
  reliability = class_reliability(logits_NC, labels_N)
  matrix_CC = confusion_matrix(logits_NC, labels_N)
  view["reliability"] = finetune_figures.draw_reliability(reliability)
  view["calibration_error"] = f"{reliability.error:.3f}"
  if len(result.labels) <= _LARGEST_MATRIX:
    view["confusion"] = finetune_figures.draw_confusion(
      matrix_CC, result.labels
    )
  view["confused"] = _confused(matrix_CC, result.labels)
  view["mistakes"] = _surest(logits_NC, labels_N, review, result.labels, tokens)
  return view


def _confused(
  matrix_CC: np.ndarray, labels: Sequence[str]
) -> list[tuple[str, str, int]]:
  """Return the most frequent mistakes: label, answer, number."""
  wrong_CC = matrix_CC.copy()
  np.fill_diagonal(wrong_CC, 0)
  order = np.argsort(-wrong_CC, axis=None, kind="stable")[:_SHOWN]
  places = [divmod(int(place), len(labels)) for place in order]
  return [
    (labels[row], labels[column], int(wrong_CC[row, column]))
    for row, column in places
    if wrong_CC[row, column]
  ]


def _surest(
  logits_NC: np.ndarray,
  labels_N: np.ndarray,
  review: Review,
  labels: Sequence[str],
  tokens: Sequence[str],
) -> list[tuple[float, str, str, str]]:
  """Return probability, label, answer and text of the surest wrong answers."""
  probability_N = probabilities(logits_NC).max(axis=1)
  answer_N = logits_NC.argmax(axis=1)
  wrong = np.flatnonzero(answer_N != labels_N)
  order = wrong[np.argsort(-probability_N[wrong], kind="stable")][:_SHOWN]
  return [
    (
      float(probability_N[number]),
      labels[int(labels_N[number])],
      labels[int(answer_N[number])],
      _text(review, number, tokens),
    )
    for number in order.tolist()
  ]


def _text(review: Review, number: int, tokens: Sequence[str]) -> str:
  """Return the text of a window: its tokens, those of a word joined."""
  windows = review.windows
  ids = windows["tokens_NS"][number, : windows.length_N[number]]
  joined = " ".join(tokens[int(token)] for token in ids[1:-1])
  return joined.replace(" ##", "").replace(" \u2581", " ").strip()


def _class_row(each: ClassScores, scored: str) -> list[str]:
  return [
    each.label,
    f"{each.examples[scored]:,}",
    "never"
    if each.is_never_predicted
    else f"{sum(each.predictions) / len(each.predictions):,.1f}",
    *map(_cell, (each.precision, each.recall, each.f1)),
  ]


def _cell(summary: Summary | None) -> str:
  if summary is None:
    return "–"
  if summary.std is None:
    return f"{summary.mean:.4f}"
  return f"{summary.mean:.4f} ± {summary.std:.4f}"
