# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of each class, and the page that people read."""

import dataclasses
import json

import numpy as np
import pytest

from bertjax.finetune import regression
from bertjax.finetune.classification import TASK
from bertjax.finetune.outcome import Candidate, ExperimentResult
from bertjax.finetune.results import (
  ArmResult,
  columns,
  never_predicted,
  page,
  score_calibration,
  score_classes,
)
from bertjax.finetune.scores import ClassCounts
from bertjax.finetune.scores.calibration import (
  Calibration,
  measure_reliability,
)
from bertjax.finetune.trial import TrialResult
from bertjax.trials.statistics import summarize

LABELS = ("ham", "sp|am", "rare")
SCORES = {"accuracy": 0.5, "macro_f1": 0.4, "loss": 1.0}


def make_run(predictions, right):
  counts = {
    "dev": ClassCounts((4, 3, 0), (5, 2, 0), (3, 2, 0)),
    "test": ClassCounts((6, 3, 1), predictions, right),
  }
  return TrialResult(1, SCORES, SCORES, 0.1, (), counts)


RUNS = [make_run((8, 2, 0), (6, 1, 0)), make_run((10, 0, 0), (6, 0, 0))]


def make_result(classes, scored="test", diverged=None):
  summaries = {name: summarize([value]) for name, value in SCORES.items()}
  scores = ExperimentResult(
    learning_rate=1e-3,
    selection=(),
    metric="accuracy",
    seeds=(0, 1),
    best_steps=(1, 1),
    dev=summaries,
    test=summaries if scored == "test" else {},
    diverged=diverged or {},
  )
  return ArmResult(
    init="bundle",
    task="t",
    labels=LABELS,
    examples={"train": 20, "dev": 7, "test": 10}
    if scored == "test"
    else {"train": 20, "dev": 7},
    steps=1,
    scores=scores,
    scored=scored,
    classes=classes,
    never_predicted=never_predicted(classes, scored),
  )


def test_each_class_has_scores_over_the_seeds():
  ham, spam, rare = score_classes(LABELS, RUNS, "test")
  assert ham.examples == {"dev": 4, "test": 6}
  assert ham.predictions == (8, 10)
  assert ham.precision is not None
  assert ham.precision.values == (6 / 8, 6 / 10)
  assert ham.recall is not None
  assert ham.recall.values == (1.0, 1.0)
  assert ham.f1.values == (12 / 14, 12 / 16)
  # The second seed predicts it never, and has no precision.
  assert spam.precision is not None
  assert spam.precision.values == (0.5,)
  assert spam.f1.values == (2 / 5, 0.0)
  assert rare.precision is None
  assert rare.is_never_predicted
  assert never_predicted((ham, spam, rare), "test") == ("rare",)


def test_a_class_without_examples_is_not_missed():
  classes = score_classes(LABELS, RUNS, "dev")
  assert classes[2].is_never_predicted
  assert classes[2].recall is None
  assert never_predicted(classes, "dev") == ()


def test_runs_of_earlier_versions_have_no_classes():
  old = TrialResult(1, SCORES, SCORES, 0.1, ())
  assert score_classes(LABELS, [*RUNS, old], "test") == ()
  assert "Each class" not in page(make_result(()), TASK)


@pytest.mark.parametrize("scored", ["dev", "test"])
def test_results_are_read_as_they_were_written(scored):
  result = make_result(score_classes(LABELS, RUNS, scored), scored, {"2": "x"})
  saved = json.loads(json.dumps(result.to_json(), allow_nan=False))
  assert ArmResult.from_json(saved) == result
  for name in ("scored", "classes", "never_predicted", "diverged"):
    del saved[name]
  assert ArmResult.from_json(saved).classes == ()


def test_the_page_shows_each_class_and_what_is_to_know():
  text = page(make_result(score_classes(LABELS, RUNS, "test")), TASK)
  rows = [line.split(" | ") for line in text.splitlines()]
  (rare,) = (row for row in rows if row[0].startswith("| rare"))
  assert [cell.strip(" |") for cell in rare[1:]] == [
    *("0", "1", "never", "–", "0.0000 ± 0.0000", "0.0000 ± 0.0000")
  ]
  assert "Never predicted: rare." in text
  assert "sp\\|am" in text
  assert "no labeled test" not in text
  assert "diverged" not in text
  text = page(make_result((), "dev", {"2": "loss is nan"}), TASK)
  assert "There is no labeled test split. All scores are those of dev" in text
  assert "1 of 3 seeds diverged and are not in the scores: 2." in text


def test_the_best_of_several_is_shown_with_their_number():
  result = make_result(())
  scores = dataclasses.replace(
    result.scores,
    dev={"accuracy": summarize([0.4, 0.6])},
    selection=(
      Candidate(1e-3, summarize([0.4])),
      Candidate(2e-3, None),
      Candidate(3e-3, summarize([0.1])),
    ),
  )
  result = dataclasses.replace(result, scores=scores)
  assert result.to_json()["expected_best"] == {
    "seeds": [0.5, 0.6],
    "rates": [0.25, 0.4],
  }
  text = page(result, TASK)
  assert "best accuracy on dev of n seeds, by n: 1: 0.5000, 2: 0.6000." in text
  assert "best accuracy on dev of n rates, by n: 1: 0.2500, 2: 0.4000." in text
  # One seed and one rate are the best of one.
  assert "Expected best" not in page(make_result(()), TASK)


def test_the_score_that_chose_is_a_column_of_both_splits_once():
  assert columns(TASK, ["accuracy"]) == TASK.columns
  assert [*columns(TASK, ["matthews"])][:3] == [
    *("dev matthews", "test matthews", "dev accuracy")
  ]
  assert [*columns(TASK, ["macro_f1", "macro_f1"])] == [
    *("dev macro F1", "dev accuracy", "test accuracy", "test macro F1")
  ]
  result = make_result(())
  scores = dataclasses.replace(
    result.scores,
    metric="matthews",
    dev={**result.scores.dev, "matthews": summarize([0.25])},
    test={**result.scores.test, "matthews": summarize([0.125])},
  )
  text = page(dataclasses.replace(result, scores=scores), TASK)
  header, _, row = text.splitlines()[:3]
  assert "| dev matthews | test matthews | dev accuracy |" in header
  assert "|       0.2500 |        0.1250 |" in row


def test_the_page_counts_the_degenerate_seeds():
  result = dataclasses.replace(make_result(()), degenerate_seeds=(1,))
  assert (
    "1 of 2 seeds predict only one class, score, choice or place, or nothing, "
    "on dev, and the scores count them: 1."
  ) in page(result, TASK)
  assert "nothing" not in page(make_result(()), TASK)
  saved = result.to_json()
  assert ArmResult.from_json(saved) == result
  del saved["degenerate_seeds"]
  assert ArmResult.from_json(saved).degenerate_seeds == ()


def make_calibrated(temperature, wrong):
  """A run whose test has `wrong` of ten answers wrong, all of them sure."""
  sure, right = np.full(10, 0.99), np.arange(10) >= wrong
  before = measure_reliability(sure, right)
  after = measure_reliability(np.full(10, 1 - wrong / 10), right)
  return dataclasses.replace(
    RUNS[0],
    calibration=Calibration(temperature, {"test": before}, {"test": after}),
  )


def test_calibration_is_summarized_over_the_seeds():
  runs = [make_calibrated(2.0, 1), make_calibrated(3.0, 2)]
  found = score_calibration(runs)
  assert found is not None
  assert found.temperature.values == (2.0, 3.0)
  assert found.before["test"].values == pytest.approx((0.09, 0.19))
  assert found.after["test"].mean == pytest.approx(0)
  result = dataclasses.replace(make_result(()), calibration=found)
  assert ArmResult.from_json(result.to_json()) == result
  text = page(result, TASK)
  assert "divided by 2.5000 ± 0.7071 (fitted on dev" in text
  assert "| test  | 0.1400 ± 0.0707 |" in text
  # A run of an earlier version has none.
  assert score_calibration([*runs, RUNS[0]]) is None
  assert "alibration" not in page(make_result(()), TASK)


def test_without_test_all_columns_are_of_dev():
  assert columns(regression.TASK, ["spearman"], ["dev"]) == {
    "dev Pearson": ("dev", "pearson"),
    "dev Spearman": ("dev", "spearman"),
  }
  assert [*columns(TASK, ["matthews"], ["dev"])] == [
    *("dev matthews", "dev accuracy", "dev macro F1")
  ]
