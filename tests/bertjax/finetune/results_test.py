# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of each class, and the results as JSON."""

import dataclasses
import json

import numpy as np
import pytest

from bertjax.finetune.classification import TASK
from bertjax.finetune.results import (
  ArmResult,
  never_predicted,
  score_calibration,
  score_classes,
)
from bertjax.finetune.results_page import page
from bertjax.finetune.scores.calibration import (
  Calibration,
  measure_reliability,
)
from bertjax.finetune.trial import TrialResult
from tests.testing.arm_results import (
  LABELS,
  RUNS,
  SCORES,
  make_found,
  make_result,
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
  result = dataclasses.replace(result, findings=(make_found(),))
  saved = json.loads(json.dumps(result.to_json(), allow_nan=False))
  assert ArmResult.from_json(saved) == result
  for name in ("scored", "classes", "never_predicted", "diverged", "findings"):
    del saved[name]
  assert ArmResult.from_json(saved).classes == ()


def test_the_page_counts_the_degenerate_seeds():
  result = dataclasses.replace(make_result(()), degenerate_seeds=(1,))
  assert (
    "1 of 2 seeds predict only one class, score, choice or place, or nothing, "
    "on dev, and the scores count them: seed 1."
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
