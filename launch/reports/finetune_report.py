# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The page of a fine-tuning run: spread, calibration and mistakes."""

import pathlib
from collections.abc import Sequence
from typing import Any

from bertjax import files
from bertjax.finetune.error_analysis import Mistakes
from bertjax.finetune.results import (
  ArmResult,
  ClassScores,
)
from bertjax.finetune.results_page import (
  absent_classes,
  columns,
  describe_absent,
  describe_scores,
  splits,
)
from bertjax.finetune.review import Review
from bertjax.finetune.task import FinetuneTask
from bertjax.trials.markdown import cell
from bertjax.trials.statistics import Summary
from data_pipelines.tasks.figures import SplitFigures
from launch.reports import finetune_figures, page
from launch.reports.class_tables import most_frequent

# A larger matrix is a table of its largest cells instead.
_LARGEST_MATRIX = 24
_SHOWN = 20
# Characters of a text, and of a label, an entity or an answer.
_LONGEST_TEXT = 600
_LONGEST_VALUE = 120
# How many labels, entities or texts of a mistake are shown.
_MOST = 24
_CLASS_COLUMNS = ("class", "texts", "predicted", "precision", "recall", "F1")


def write(
  path: pathlib.Path,
  result: ArmResult,
  review: Review,
  task: FinetuneTask,
  cut: str,
) -> None:
  """Write the page.

  Args:
    path: path of the page.
    result: results of the run.
    review: runs and answers of its best model.
    task: kind of task.
    cut: a sentence on what was cut.
  """
  view = {**make_view(result, review, task), "cut": cut}
  files.write_text(path, page.render("finetune_report.html", view))


def tell_cut(
  split: SplitFigures, seq_length: int, max_question_length: int
) -> str:
  """Return a sentence on what the examples of a split lose.

  Args:
    split: what was counted in the split.
    seq_length: tokens of a row.
    max_question_length: tokens that questions are cut to.
  """
  if split.cut_questions is not None:
    return (
      f"{split.cut_questions:,} of {split.examples:,} questions are cut at "
      f"{max_question_length} tokens; contexts are read in {split.windows:,} "
      f"windows of at most {seq_length} tokens."
    )
  return f"{split.cut:,} of {split.examples:,} are cut at {seq_length} tokens."


def make_view(
  result: ArmResult,
  review: Review,
  task: FinetuneTask,
) -> dict[str, Any]:
  """Return the values that the template uses, but for what was cut."""
  scores = result.scores
  shown = splits(result.examples)
  names = [name for name in scores.dev if name != "loss"] + ["loss"]
  answers = _answers(review, task)
  curves = {seed: run.curve for seed, run in review.runs.items()}
  return {
    "name": result.task,
    "lead": _lead(result),
    "cards": _cards(result, task),
    "findings": result.findings,
    "notes": describe_scores(result),
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
    "class_columns": (
      *_CLASS_COLUMNS,
      *(["calibration error"] if answers["class_errors"] else []),
    ),
    "classes": [
      _class_row(each, result.scored)
      + [f"{error:.3f}" for error in answers["class_errors"][index : index + 1]]
      for index, each in enumerate(result.classes)
    ],
    "absent": " ".join(describe_absent(absent_classes(result), task)),
    **answers,
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


def _answers(review: Review, task: FinetuneTask) -> dict[str, Any]:
  """Return what the task declares of its answers; "" for what it does not."""
  view: dict[str, Any] = dict.fromkeys(
    (
      "reliability",
      "confusion",
      "confused",
      "confusion_note",
      "unit",
      "mistakes",
      "scatter",
      "residuals",
    ),
    "",
  )
  view["class_errors"] = ()
  answered = task.answered(review.outputs, review.windows)
  if answered is not None:
    curves = {"as they are": answered.reliability()}
    if (divisor := review.temperature) is not None:
      name = f"with logits divided by {divisor:.3g}"
      curves[name] = answered.reliability(divisor)
    view["reliability"] = finetune_figures.draw_reliability(curves)
    view["calibrated"] = divisor is not None
  if not task.analyze:
    return view
  found = task.analyze(review.outputs, review.windows)
  view["mistakes"] = _show_mistakes(found.mistakes)
  view["class_errors"] = found.class_errors
  if found.score_pairs:
    shown = finetune_figures.draw_scores(*found.score_pairs)
    view["scatter"], view["scattered"] = shown
    view["scores_of"] = len(found.score_pairs.gold_N)
    view["residuals"] = finetune_figures.draw_residuals(*found.score_pairs)
  if found.confusion:
    names, counts_CC = found.confusion.names, found.confusion.counts_CC
    if len(names) <= _LARGEST_MATRIX:
      view["confusion"] = finetune_figures.draw_confusion(counts_CC, names)
    view["confusion_names"] = len(names)
    view["confused"] = most_frequent(names, counts_CC, _SHOWN)
    view["confusion_note"] = found.confusion.note
    view["unit"] = found.confusion.unit
  return view


def _show_mistakes(mistakes: Mistakes) -> dict[str, Any]:
  return {
    "title": mistakes.title,
    "summary": mistakes.summary,
    "columns": mistakes.columns,
    "rows": [
      {
        "cells": each.cells,
        "wanted": _mark(each.wanted, each.given),
        "given": _mark(each.given, each.wanted),
        "texts": [_clip(text, _LONGEST_TEXT) for text in each.texts[:_MOST]],
      }
      for each in mistakes.worst
    ],
  }


def _mark(
  values: Sequence[str], others: Sequence[str]
) -> list[tuple[str, bool]]:
  """Return values, and whether each of them is missing on the other side."""
  shown = [
    (_clip(value, _LONGEST_VALUE), value not in others)
    for value in values[:_MOST]
  ]
  if len(values) > _MOST:
    shown.append((f"and {len(values) - _MOST:,} more", False))
  return shown or [("none", False)]


def _clip(text: str, longest: int) -> str:
  return text if len(text) <= longest else text[:longest].rstrip() + " …"


def _class_row(each: ClassScores, scored: str) -> list[str]:
  return [
    each.label,
    f"{each.examples[scored]:,}",
    "never"
    if each.is_never_predicted
    else f"{sum(each.predictions) / len(each.predictions):,.1f}",
    *map(_cell, (each.precision, each.recall)),
    _cell(None if each.is_absent(scored) else each.f1),
  ]


def _cell(summary: Summary | None) -> str:
  return cell(None) if summary is None else str(summary)
