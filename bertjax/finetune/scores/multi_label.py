# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of examples that have any number of labels each, as scikit-learn's."""

import numpy as np

from bertjax.finetune.scores.checks import check_examples
from bertjax.finetune.scores.classes import ClassCounts


def count_labels(
  is_predicted_NC: np.ndarray, is_label_NC: np.ndarray
) -> ClassCounts:
  """Count the labels, the predictions and the right ones of each class.

  Raises:
    ValueError: there is no example, or the lengths differ.
  """
  check_examples(is_predicted_NC, is_label_NC)
  predicted_NC, label_NC = is_predicted_NC > 0, is_label_NC > 0
  return ClassCounts(
    *(
      tuple(each.sum(axis=0).tolist())
      for each in (label_NC, predicted_NC, label_NC & predicted_NC)
    )
  )


def exact_share(is_predicted_NC: np.ndarray, is_label_NC: np.ndarray) -> float:
  """Return the share of examples all of whose labels are right.

  Raises:
    ValueError: there is no example, or the lengths differ.
  """
  check_examples(is_predicted_NC, is_label_NC)
  same_NC = (is_predicted_NC > 0) == (is_label_NC > 0)
  return float(same_NC.all(axis=1).mean())


def sigmoid(logits: np.ndarray) -> np.ndarray:
  """Return the probability of each label, float64."""
  half = np.asarray(logits, np.float64) / 2
  return (1 + np.tanh(half)) / 2


def binary_cross_entropy(
  logits_NC: np.ndarray, is_label_NC: np.ndarray
) -> float:
  """Return the mean over all examples and classes, in nats.

  Raises:
    ValueError: there is no example, or the lengths differ.
  """
  check_examples(logits_NC, is_label_NC)
  logits_NC = np.asarray(logits_NC, np.float64)
  return float(
    (np.logaddexp(0, logits_NC) - logits_NC * (is_label_NC > 0)).mean()
  )
