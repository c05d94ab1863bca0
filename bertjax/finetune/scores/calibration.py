# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration: whether a share p of the answers with probability p is right.

Guo et al. (2017), "On Calibration of Modern Neural Networks": the expected
calibration error, and the temperature that divides all logits.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple, Self

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
# Temperatures between these two that are tried before the best one is refined.
_TRIED = 65
# Probabilities are this far from 0 and 1 in a cross-entropy.
_LEAST = 1e-12


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


class Answered(NamedTuple):
  """What answers were chosen among, and whether they are right.

  Attributes:
    logits_NC: float, the logit of each candidate; −infinity is one that an
      example lacks.
    chosen_N: int, the candidate that is the answer.
    is_right_N: bool, whether the answer is right.
    labels_N: int, the right candidate; None where it may be none of them.
  """

  logits_NC: np.ndarray
  chosen_N: np.ndarray
  is_right_N: np.ndarray
  labels_N: np.ndarray | None = None

  @classmethod
  def of_classes(cls, logits_NC: np.ndarray, labels_N: np.ndarray) -> Self:
    """Return the likeliest classes as answers.

    Raises:
      ValueError: there is no example, or the lengths differ.
    """
    check_examples(logits_NC, labels_N)
    chosen_N = np.asarray(logits_NC).argmax(axis=1)
    return cls(logits_NC, chosen_N, chosen_N == labels_N, labels_N)

  def confidences(self, temperature: float = 1.0) -> np.ndarray:
    """Return the probability of each answer, logits divided by a number."""
    scaled_NC = np.asarray(self.logits_NC, np.float64) / temperature
    chosen_N1 = self.chosen_N[:, None]
    return np.take_along_axis(probabilities(scaled_NC), chosen_N1, axis=1)[:, 0]

  def reliability(self, temperature: float = 1.0) -> Reliability:
    """Count answers by their probability."""
    return measure_reliability(self.confidences(temperature), self.is_right_N)

  def fit_temperature(self) -> float:
    """Return the temperature of the least cross-entropy.

    It is that of the right candidate. Where this may be none of the candidates,
    it is that of whether the answer is right.
    """
    if self.labels_N is None:
      return _fit_rightness(self)
    return fit_temperature(self.logits_NC, self.labels_N)


@dataclasses.dataclass(frozen=True)
class Calibration(JsonResult):
  """What dividing the logits by a temperature changes.

  Attributes:
    temperature: the one that `Answered.fit_temperature` finds on dev.
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


def calibrate(answered: Mapping[str, Answered]) -> Calibration:
  """Fit a temperature on dev, and measure what it changes on each split.

  Args:
    answered: {split: its answers}, with "dev".

  Raises:
    ValueError: a split has no example.
  """
  temperature = answered["dev"].fit_temperature()
  return Calibration(
    temperature,
    {name: each.reliability() for name, each in answered.items()},
    {name: each.reliability(temperature) for name, each in answered.items()},
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
  return Answered.of_classes(logits_NC, labels_N).reliability(temperature)


def calibration_errors(
  answered: Answered, temperature: float | None
) -> CalibrationErrors:
  """Return the errors without a temperature and with one, if it is known.

  Raises:
    ValueError: there is no example.
  """
  error = answered.reliability().error
  if temperature is None:
    return CalibrationErrors(error)
  scaled = answered.reliability(temperature)
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


def _fit_rightness(answered: Answered) -> float:
  """Return the temperature whose probabilities tell best what is right.

  The cross-entropy of right and wrong answers is not convex, so that
  temperatures over the whole range are tried first.
  """
  check_examples(answered.chosen_N, answered.is_right_N)

  def loss(log_temperature: float) -> float:
    chance_N = answered.confidences(math.exp(log_temperature))
    is_so_N = np.where(answered.is_right_N, chance_N, 1 - chance_N)
    return float(-np.log(np.maximum(is_so_N, _LEAST)).mean())

  ends = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
  tried = np.linspace(*ends, _TRIED).tolist()
  losses = [loss(each) for each in tried]
  if max(losses) == min(losses):  # every answer has no other candidate
    return 1.0
  best = int(np.argmin(losses))
  if best in {0, _TRIED - 1}:
    return (MIN_TEMPERATURE, MAX_TEMPERATURE)[best > 0]
  from scipy import optimize

  around = tried[best - 1], tried[best + 1]
  found = optimize.minimize_scalar(loss, bounds=around, method="bounded")
  return math.exp(found.x)
