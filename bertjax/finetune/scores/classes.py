# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a class for each example: counts, accuracy, F1."""

import dataclasses

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

  def f1(self, index: int) -> float:
    """Return the F1 of a class; 0 where it neither occurs nor is predicted."""
    total = self.labels[index] + self.predictions[index]
    return 2 * self.right[index] / max(total, 1)

  @property
  def micro_f1(self) -> float:
    """The F1 of all classes together; 0 where none occurs or is predicted."""
    total = sum(self.labels) + sum(self.predictions)
    return 2 * sum(self.right) / max(total, 1)


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
  occurs = [
    index
    for index, both in enumerate(
      zip(counts.labels, counts.predictions, strict=True)
    )
    if any(both)
  ]
  return float(np.asarray([counts.f1(index) for index in occurs]).mean())


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
