# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The results of an arm: `results.json`."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from bertjax.finetune.forgetting import ForgettingScores
from bertjax.finetune.outcome import ExperimentResult
from bertjax.finetune.scores import ClassCounts
from bertjax.finetune.trial import TrialResult
from bertjax.trials.finding import FoundWrong
from bertjax.trials.results import VERSION, JsonResult
from bertjax.trials.statistics import Summary, summarize

# In the workdir of fine-tuning.
RESULTS = "results.json"


@dataclasses.dataclass(frozen=True)
class ClassScores(JsonResult):
  """Scores of one class over the seeds.

  Attributes:
    label: name of the class.
    examples: {split: number of examples} of dev and test.
    predictions: for each seed, how often the class is predicted.
    precision: over the seeds that predict the class; None if none does.
    recall: None where the split has no example.
    f1: 0 where the class is never predicted rightly.
  """

  label: str
  examples: Mapping[str, int]
  predictions: tuple[int, ...]
  precision: Summary | None
  recall: Summary | None
  f1: Summary

  def is_absent(self, split: str) -> bool:
    """Whether the class neither occurs in a split nor is predicted there.

    It has no F1 then.

    Args:
      split: the split of `predictions`.
    """
    return self.is_never_predicted and not self.examples[split]

  @property
  def is_never_predicted(self) -> bool:
    """Whether no seed predicts the class."""
    return not any(self.predictions)


@dataclasses.dataclass(frozen=True)
class CalibrationScores(JsonResult):
  """How far probabilities can be trusted, over the seeds.

  Attributes:
    temperature: what makes the cross-entropy on dev least.
    before: {split: expected calibration error as probabilities are}.
    after: {split: the error with the temperature}.
  """

  temperature: Summary
  before: Mapping[str, Summary]
  after: Mapping[str, Summary]


@dataclasses.dataclass(frozen=True)
class ArmResult(JsonResult):
  """The results of an arm, the content of its `results.json`.

  Attributes:
    init: "bundle" or "scratch".
    task: name of the data.
    labels: name of each class.
    examples: {split: number of examples}.
    steps: number of steps of a trial.
    scores: learning rate, and scores over the seeds.
    scored: the split of `classes`: "test", or "dev" if there is no test.
    classes: scores of each class; empty where outputs are not classes, or a
      run is of an earlier version.
    never_predicted: classes with examples that no seed predicts.
    calibration: how far probabilities can be trusted; None where answers have
      none, or a run is of an earlier version.
    degenerate_seeds: seeds that give every example of dev one answer, or none.
      All scores count them.
    forgetting: what was forgotten; None where that is not measured.
    findings: what an expert would stop for in data and scores.
  """

  init: str
  task: str
  labels: tuple[str, ...]
  examples: Mapping[str, int]
  steps: int
  scores: ExperimentResult
  scored: str = "test"
  classes: tuple[ClassScores, ...] = ()
  never_predicted: tuple[str, ...] = ()
  calibration: CalibrationScores | None = None
  degenerate_seeds: tuple[int, ...] = ()
  forgetting: ForgettingScores | None = None
  findings: tuple[FoundWrong, ...] = ()

  @property
  def evaluation(self) -> dict[str, Any]:
    """The scores that the model is saved with, as JSON gives them back."""
    saved = json.loads(json.dumps(self.to_json()))
    return {split: saved[split] for split in ("dev", "test")}

  def to_json(self) -> dict[str, Any]:
    """Return the JSON of a results file, the scores beside the other keys."""
    saved = super().to_json()
    scores = saved.pop("scores")
    best = json.loads(json.dumps(self.scores.expected_best))
    return {"version": VERSION, **saved, **scores, "expected_best": best}

  @classmethod
  def from_json(cls, saved: Mapping[str, Any]) -> Self:
    """Read what `to_json` returned.

    Raises:
      ValueError: `saved` has a newer version.
    """
    return super().from_json({**saved, "scores": saved})


def score_classes(
  labels: Sequence[str], runs: Sequence[TrialResult], scored: str
) -> tuple[ClassScores, ...]:
  """Summarize the scores of each class over the runs.

  Args:
    labels: name of each class.
    runs: one result for each seed.
    scored: split to score, "dev" or "test".

  Returns:
    One entry for each label; nothing if a run has no counts of the split.
  """
  if not all(scored in run.classes for run in runs):
    return ()
  counts = [run.classes[scored] for run in runs]
  examples = {split: each.labels for split, each in runs[0].classes.items()}
  return tuple(
    _score_class(
      label,
      index,
      {split: each[index] for split, each in examples.items()},
      counts,
    )
    for index, label in enumerate(labels)
  )


def score_calibration(
  runs: Sequence[TrialResult],
) -> CalibrationScores | None:
  """Summarize the calibration of the runs; None if a run has none."""
  found = [run.calibration for run in runs if run.calibration]
  if len(found) < len(runs):
    return None

  def errors(name: str) -> dict[str, Summary]:
    return {
      split: summarize([vars(each)[name][split].error for each in found])
      for split in found[0].before
    }

  return CalibrationScores(
    summarize([each.temperature for each in found]),
    errors("before"),
    errors("after"),
  )


def never_predicted(
  classes: Sequence[ClassScores], scored: str
) -> tuple[str, ...]:
  """Return the classes that have examples in a split and no prediction."""
  return tuple(
    each.label
    for each in classes
    if each.is_never_predicted and each.examples[scored]
  )


def _score_class(
  label: str,
  index: int,
  examples: Mapping[str, int],
  counts: Sequence[ClassCounts],
) -> ClassScores:
  predicted = [each for each in counts if each.predictions[index]]
  labeled = [each for each in counts if each.labels[index]]
  return ClassScores(
    label=label,
    examples=examples,
    predictions=tuple(each.predictions[index] for each in counts),
    precision=_mean(
      each.right[index] / each.predictions[index] for each in predicted
    ),
    recall=_mean(each.right[index] / each.labels[index] for each in labeled),
    f1=summarize([each.f1(index) for each in counts]),
  )


def _mean(values: Iterable[float]) -> Summary | None:
  values = list(values)
  return summarize(values) if values else None
