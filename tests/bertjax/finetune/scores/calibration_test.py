# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from bertjax.finetune import scores
from bertjax.finetune.scores import calibration
from bertjax.finetune.scores.calibration import (
  MAX_TEMPERATURE,
  MIN_TEMPERATURE,
  Answered,
  class_reliability,
  fit_temperature,
  measure_reliability,
)


def drawn_logits(
  temperature: float, count: int = 4000
) -> tuple[np.ndarray, np.ndarray]:
  """Return logits that are `temperature` times too large, and labels."""
  draws = np.random.default_rng(0)
  logits_NC = draws.normal(scale=2, size=(count, 5))
  noise_NC = draws.gumbel(size=logits_NC.shape)
  return logits_NC * temperature, (logits_NC + noise_NC).argmax(axis=1)


def test_the_error_by_hand():
  confidences_N = np.asarray([0.5, 0.6, 0.9, 1.0])
  is_right_N = np.asarray([True, False, True, True])
  found = measure_reliability(confidences_N, is_right_N, bins=2)
  # 0.5 is the upper end of the first bin.
  assert found.examples == (1, 3)
  assert found.confidences == pytest.approx((0.5, 2.5 / 3))
  assert found.accuracies == pytest.approx((1, 2 / 3))
  assert found.error == pytest.approx((0.5 + 3 * (2.5 / 3 - 2 / 3)) / 4)


def test_the_edges_of_bins_count_once():
  found = measure_reliability(np.asarray([0.0, 1.0, 1e-9]), np.ones(3, bool))
  assert found.examples[0] == 2
  assert found.examples[-1] == 1
  assert sum(found.examples) == 3


def test_results_are_read_back():
  found = measure_reliability(np.asarray([0.3]), np.asarray([True]))
  assert calibration.Reliability.from_json(found.to_json()) == found


@pytest.mark.parametrize("temperature", [0.5, 1, 3])
def test_the_temperature_undoes_a_factor_of_the_logits(temperature):
  logits_NC, labels_N = drawn_logits(temperature)
  fitted = fit_temperature(logits_NC.astype(np.float32), labels_N)
  assert fitted == pytest.approx(temperature, rel=0.05)
  found: Any = optimize.minimize_scalar(
    lambda log: scores.cross_entropy(logits_NC / math.exp(log), labels_N),
    bounds=(-3, 3),
    method="bounded",
    options={"xatol": 1e-8},
  )
  assert fitted == pytest.approx(math.exp(found.x), rel=1e-4)
  assert class_reliability(logits_NC, labels_N, fitted).error < 0.02
  if temperature != 1:
    assert class_reliability(logits_NC, labels_N).error > 0.05


def test_the_temperature_stays_within_its_bounds():
  logits_NC = np.eye(3)
  assert fit_temperature(logits_NC, np.arange(3)) == MIN_TEMPERATURE
  assert fit_temperature(logits_NC, np.asarray([1, 2, 0])) == MAX_TEMPERATURE
  assert fit_temperature(np.zeros((2, 3)), np.arange(2)) == 1  # any is right


def test_a_class_that_an_example_lacks_changes_nothing():
  logits_NC, labels_N = drawn_logits(2, count=50)
  wide_NC = np.pad(logits_NC, ((0, 0), (0, 1)), constant_values=-np.inf)
  expected = fit_temperature(logits_NC, labels_N)
  assert fit_temperature(wide_NC, labels_N) == pytest.approx(expected)


@pytest.mark.parametrize("score", [class_reliability, fit_temperature])
def test_no_example_is_refused(score):
  with pytest.raises(ValueError, match="no examples"):
    score(np.zeros((0, 3)), np.zeros(0, np.int64))


def test_errors_are_told_with_the_temperature_that_is_known():
  logits_NC, labels_N = drawn_logits(3)
  answered = Answered.of_classes(logits_NC, labels_N)
  alone = calibration.calibration_errors(answered, None)
  both = calibration.calibration_errors(answered, 3.0)
  assert (
    alone.error == both.error == class_reliability(logits_NC, labels_N).error
  )
  assert str(alone) == (
    f"Expected calibration error: {alone.error:.4f} as probabilities are."
  )
  assert both.error_with_temperature == (
    class_reliability(logits_NC, labels_N, 3.0).error
  )
  assert "with all logits divided by 3, which was fitted on dev" in str(both)


def test_answers_need_not_be_the_likeliest_nor_the_right_one_there():
  logits_NC = np.asarray([[0.25, 0.75, 1], [0.2, 0.2, 0.6]])
  logits_NC = np.log(logits_NC)
  logits_NC[0, 2] = -np.inf  # an example may have fewer candidates
  answered = Answered(logits_NC, np.asarray([0, 2]), np.asarray([True, False]))
  np.testing.assert_allclose(answered.confidences(), [0.25, 0.6])
  assert answered.reliability().error == pytest.approx((0.75 + 0.6) / 2)
  half = answered.confidences(0.5)
  np.testing.assert_allclose(half, [1 / 10, 0.36 / 0.44])


@pytest.mark.parametrize("temperature", [0.5, 3])
def test_what_is_right_is_enough_for_a_temperature(temperature):
  """Also where the right answer is not among the candidates."""
  logits_NC, labels_N = drawn_logits(temperature)
  whole = Answered.of_classes(logits_NC, labels_N)
  fitted = whole._replace(labels_N=None).fit_temperature()
  assert fitted == pytest.approx(temperature, rel=0.1)
  # Half of the right answers are lost: the answers are half as often right.
  is_right_N = whole.is_right_N & (np.arange(len(labels_N)) % 2 > 0)
  lost = Answered(whole.logits_NC, whole.chosen_N, is_right_N)
  found = lost.fit_temperature()
  assert found > fitted
  assert lost.reliability(found).error < lost.reliability().error


def test_answers_that_are_all_right_or_wrong_have_the_last_temperature():
  logits_NC, chosen_N = np.eye(3), np.arange(3)
  for is_right, wanted in ((True, MIN_TEMPERATURE), (False, MAX_TEMPERATURE)):
    answered = Answered(logits_NC, chosen_N, np.full(3, is_right))
    assert answered.fit_temperature() == wanted
  alone = Answered(
    np.zeros((2, 1)), np.zeros(2, int), np.asarray([True, False])
  )
  assert alone.fit_temperature() == 1
