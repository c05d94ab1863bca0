# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration: whether a share p of the answers with probability p is right.

Guo et al. (2017), "On Calibration of Modern Neural Networks": the expected
calibration error, and the temperature that divides all logits.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from bertjax.finetune.scores.checks import check_examples
from bertjax.finetune.scores.logits import probabilities
from bertjax.trials.results import JsonResult

# Bins of the paper, section 5.
NUM_BINS = 15
# Logits that are all right want a temperature of 0, and those that are worse
# than chance an infinite one.
MIN_TEMPERATURE = 0.01
MAX_TEMPERATURE = 100.0


@dataclasses.dataclass(frozen=True)
class Reliability(JsonResult):
  """Examples by the probability of their likeliest class, in equal bins.

  Attributes:
    examples: number of examples of each bin.
    confidences: mean probability of each bin; 0 where it is empty.
    accuracies: share of each bin that is right; 0 where it is empty.
  """

  examples: tuple[int, ...]
  confidences: tuple[float, ...]
  accuracies: tuple[float, ...]

  @property
  def error(self) -> float:
    """The expected calibration error, between 0 and 1."""
    gaps = (
      count * abs(confidence - accuracy)
      for count, confidence, accuracy in zip(
        self.examples, self.confidences, self.accuracies, strict=True
      )
    )
    return sum(gaps) / sum(self.examples)


@dataclasses.dataclass(frozen=True)
class Calibration(JsonResult):
  """What dividing the logits by a temperature changes.

  Attributes:
    temperature: the one that `fit_temperature` finds on dev.
    before: {split: reliability of the probabilities as they are}.
    after: {split: reliability of those with the temperature}.
  """

  temperature: float
  before: Mapping[str, Reliability]
  after: Mapping[str, Reliability]


@dataclasses.dataclass(frozen=True)
class CalibrationErrors(JsonResult):
  """How far the probabilities of a model can be trusted.

  Attributes:
    error: the expected calibration error of probabilities as they are.
    temperature: what all logits are divided by; None where it is not known.
    error_with_temperature: the error with the temperature.
  """

  error: float
  temperature: float | None = None
  error_with_temperature: float | None = None

  def __str__(self) -> str:
    """Return a sentence."""
    text = f"Expected calibration error: {self.error:.4f} as probabilities are"
    if self.error_with_temperature is None:
      return f"{text}."
    return (
      f"{text}, {self.error_with_temperature:.4f} with all logits divided by "
      f"{self.temperature:.4g}, which was fitted on dev."
    )


def calibrate(
  logits: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Calibration:
  """Fit a temperature on dev, and measure what it changes on each split.

  Args:
    logits: {split: (float logits_NC, int labels_N)}, with "dev".

  Raises:
    ValueError: a split has no example.
  """
  temperature = fit_temperature(*logits["dev"])
  return Calibration(
    temperature,
    {name: class_reliability(*each) for name, each in logits.items()},
    {
      name: class_reliability(*each, temperature)
      for name, each in logits.items()
    },
  )


def measure_reliability(
  confidences_N: np.ndarray, is_right_N: np.ndarray, bins: int = NUM_BINS
) -> Reliability:
  """Count examples by confidence.

  Args:
    confidences_N: float, probability of each answer. A bin has the
      probabilities above its lower end, and its upper end.
    is_right_N: bool, whether the answer is right.
    bins: number of bins.

  Raises:
    ValueError: there is no example, or the lengths differ.
  """
  check_examples(confidences_N, is_right_N)
  confidences_N = np.asarray(confidences_N, np.float64)
  bins_N = np.ceil(confidences_N * bins).astype(np.int64) - 1
  bins_N = np.clip(bins_N, 0, bins - 1)
  counts = np.bincount(bins_N, minlength=bins)
  means = (
    np.bincount(bins_N, weights=values, minlength=bins) / np.maximum(counts, 1)
    for values in (confidences_N, np.asarray(is_right_N, np.float64))
  )
  return Reliability(
    tuple(counts.tolist()), *(tuple(mean.tolist()) for mean in means)
  )


def class_reliability(
  logits_NC: np.ndarray, labels_N: np.ndarray, temperature: float = 1.0
) -> Reliability:
  """Count examples by the probability of their likeliest class.

  Raises:
    ValueError: there is no example, or the lengths differ.
  """
  check_examples(logits_NC, labels_N)
  scaled_NC = np.asarray(logits_NC, np.float64) / temperature
  return measure_reliability(
    probabilities(scaled_NC).max(axis=1), scaled_NC.argmax(axis=1) == labels_N
  )


def calibration_errors(
  logits_NC: np.ndarray, labels_N: np.ndarray, temperature: float | None
) -> CalibrationErrors:
  """Return the errors without a temperature and with one, if it is known.

  Raises:
    ValueError: there is no example, or the lengths differ.
  """
  error = class_reliability(logits_NC, labels_N).error
  if temperature is None:
    return CalibrationErrors(error)
  scaled = class_reliability(logits_NC, labels_N, temperature)
  return CalibrationErrors(error, temperature, scaled.error)


def fit_temperature(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
  """Return the temperature with the least cross-entropy.

  The cross-entropy is convex in the inverse of the temperature, so that its
  derivative has one root. The result stays within MIN_TEMPERATURE and
  MAX_TEMPERATURE.

  Args:
    logits_NC: float, logits of examples that no parameter was fitted to. A
      class with −infinity is none of the example's.
    labels_N: int, class of each example.

  Raises:
    ValueError: there is no example, or the lengths differ.
  """
  check_examples(logits_NC, labels_N)
  logits_NC = np.asarray(logits_NC, np.float64)
  true_N = np.take_along_axis(logits_NC, labels_N[:, None], axis=1)[:, 0]
  finite_NC = np.where(np.isfinite(logits_NC), logits_NC, 0)

  def slope(inverse: float) -> float:
    expected_N = (probabilities(logits_NC * inverse) * finite_NC).sum(axis=1)
    return float((expected_N - true_N).mean())

  low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
  at_low, at_high = slope(low), slope(high)
  if at_low == at_high:  # the logits of an example are all equal
    return 1.0
  if at_low >= 0:
    return MAX_TEMPERATURE
  if at_high <= 0:
    return MIN_TEMPERATURE
  # Half a second of start-up, for those that fit one.
  from scipy import optimize

  return 1 / optimize.root_scalar(slope, bracket=(low, high)).root
