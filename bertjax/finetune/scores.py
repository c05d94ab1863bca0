# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of logits over whole splits, in float64 on the host."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

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


class Guess(NamedTuple):
  """A token or a label, and its probability."""

  text: str
  probability: float


def accuracy(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
  """Return the share of examples whose largest logit is their label's.

  Raises:
    ValueError: there is no example.
  """
  _check(labels_N)
  return float((logits_NC.argmax(axis=1) == labels_N).mean())


def macro_f1(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
  """Return the mean F1 of the classes that are a label or a prediction.

  A class that is never predicted correctly counts as 0.

  Raises:
    ValueError: there is no example.
  """
  _check(labels_N)
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


def cross_entropy(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
  """Return the mean cross-entropy in nats.

  Raises:
    ValueError: there is no example.
  """
  _check(labels_N)
  logits_NC = np.asarray(logits_NC, np.float64)
  largest_N1 = logits_NC.max(axis=1, keepdims=True)
  partition_N = np.log(np.exp(logits_NC - largest_N1).sum(axis=1))
  chosen_N = np.take_along_axis(logits_NC, labels_N[:, None], axis=1)[:, 0]
  return float((partition_N + largest_N1[:, 0] - chosen_N).mean())


def probabilities(logits_NC: np.ndarray) -> np.ndarray:
  """Return the softmax over the last axis."""
  logits_NC = np.asarray(logits_NC, np.float64)
  shifted_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
  return shifted_NC / shifted_NC.sum(axis=1, keepdims=True)


def guesses(probabilities_C: np.ndarray, names: Sequence[str]) -> list[Guess]:
  """Return a guess for every class, the likeliest first."""
  order_C = np.argsort(-probabilities_C, kind="stable")
  return [Guess(names[int(i)], float(probabilities_C[i])) for i in order_C]


def _check(labels_N: np.ndarray) -> None:
  if not len(labels_N):
    raise ValueError("no examples to score; give a split that has some")
