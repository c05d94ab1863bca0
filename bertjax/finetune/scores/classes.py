# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a class for each example, as scikit-learn has them.

A share of nothing is 0.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from bertjax.finetune.scores.checks import check_examples
from bertjax.trials.results import JsonResult


@dataclasses.dataclass(frozen=True)
class ClassCounts(JsonResult):
  """How often each class of a split occurs, by class.

  Attributes:
    labels: examples with the label.
    predictions: examples for which the class is predicted.
    right: examples with the label for which the class is predicted.
  """

  labels: tuple[int, ...]
  predictions: tuple[int, ...]
  right: tuple[int, ...]

  def occurs(self, index: int) -> bool:
    """Return whether a class is a label or a prediction; else it has no F1."""
    return self.labels[index] + self.predictions[index] > 0

  def f1(self, index: int) -> float:
    """Return the F1 of a class; 0 where it neither occurs nor is predicted."""
    total = self.labels[index] + self.predictions[index]
    return 2 * self.right[index] / max(total, 1)

  @property
  def micro_f1(self) -> float:
    """The F1 of all classes together; 0 where none occurs or is predicted."""
    total = sum(self.labels) + sum(self.predictions)
    return 2 * sum(self.right) / max(total, 1)

  @property
  def macro_f1(self) -> float:
    """The mean F1 of all classes."""
    return float(np.mean([self.f1(index) for index in range(len(self.right))]))


def accuracy(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
  """Return the share of examples whose largest logit is their label's.

  Raises:
    ValueError: there is no example.
  """
  check_examples(logits_NC, labels_N)
  return float((logits_NC.argmax(axis=1) == labels_N).mean())


def macro_f1(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
  """Return the mean F1 of the classes that are a label or a prediction.

  A class that is never predicted correctly counts as 0.

  Raises:
    ValueError: there is no example.
  """
  check_examples(logits_NC, labels_N)
  counts = count_classes(logits_NC, labels_N)
  occurring = filter(counts.occurs, range(len(counts.labels)))
  return float(np.asarray([counts.f1(index) for index in occurring]).mean())


def binary_f1(
  logits_NC: np.ndarray, labels_N: np.ndarray, positive: int = 1
) -> float:
  """Return the F1 of the class `positive`.

  Raises:
    ValueError: there is no example.
  """
  check_examples(logits_NC, labels_N)
  return count_classes(logits_NC, labels_N).f1(positive)


def matthews(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
  """Return the correlation of Matthews, for any number of classes.

  It is between −1 and 1, and 0 where all labels or all predictions are one
  class (Gorodkin, 2004, "Comparing two K-category assignments by a
  K-category correlation coefficient").

  Raises:
    ValueError: there is no example.
  """
  check_examples(logits_NC, labels_N)
  counts = count_classes(logits_NC, labels_N)
  # Python's integers: the product of four counts may exceed 64 bits.
  total, right = sum(counts.labels), sum(counts.right)
  together = _dot(counts.labels, counts.predictions)
  spread = (total**2 - _dot(counts.labels, counts.labels)) * (
    total**2 - _dot(counts.predictions, counts.predictions)
  )
  return (right * total - together) / math.sqrt(spread) if spread else 0.0


def confusion_matrix(logits_NC: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
  """Return how often each label (row) is predicted as each class (column).

  Raises:
    ValueError: there is no example.
  """
  check_examples(logits_NC, labels_N)
  classes = logits_NC.shape[1]
  cells_N = labels_N.astype(np.int64) * classes + logits_NC.argmax(axis=1)
  return np.bincount(cells_N, minlength=classes**2).reshape(classes, classes)


def count_classes(logits_NC: np.ndarray, labels_N: np.ndarray) -> ClassCounts:
  """Count the labels, the predictions and the right ones of each class."""
  predictions_N = logits_NC.argmax(axis=1)
  return ClassCounts(
    *(
      tuple(np.bincount(each, minlength=logits_NC.shape[1]).tolist())
      for each in (
        labels_N,
        predictions_N,
        labels_N[predictions_N == labels_N],
      )
    )
  )


def _dot(a: Sequence[int], b: Sequence[int]) -> int:
  return sum(x * y for x, y in zip(a, b, strict=True))
