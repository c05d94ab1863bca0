# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import math
import warnings

import numpy as np
import pytest
from sklearn import metrics

from bertjax.finetune import scores


def test_scores_by_hand():
  # Labels 0 0 1 2; predictions 0 1 1 1: class 2 is never predicted.
  logits_NC = np.asarray(
    [[2, 0, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0]], np.float32
  )
  labels_N = np.asarray([0, 0, 1, 2], np.int32)
  assert scores.accuracy(logits_NC, labels_N) == 0.5
  # F1: class 0 is 2/3, class 1 is 1/2, class 2 is 0; class 3 does not occur.
  macro_f1 = scores.macro_f1(logits_NC, labels_N)
  assert math.isclose(macro_f1, (2 / 3 + 1 / 2 + 0) / 3)
  counts = scores.count_classes(logits_NC, labels_N)
  assert counts == scores.ClassCounts((2, 1, 1, 0), (1, 3, 0, 0), (1, 1, 0, 0))
  assert [counts.f1(index) for index in range(4)] == [2 / 3, 1 / 2, 0, 0]


def test_all_right_is_one():
  labels_N = np.arange(5) % 3
  logits_NC = np.eye(3, dtype=np.float32)[labels_N]
  assert scores.accuracy(logits_NC, labels_N) == 1
  assert scores.macro_f1(logits_NC, labels_N) == 1


def random_split(
  draws: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
  """Draw few examples of few classes, so that many cases are degenerate."""
  count, classes = draws.integers(1, 9), draws.integers(2, 5)
  logits_NC = draws.normal(size=(count, classes)).astype(np.float32)
  if draws.random() < 0.2:
    logits_NC[:, draws.integers(classes)] = 9  # one class is predicted
  labels_N = draws.integers(0, draws.integers(1, classes + 1), count)
  return logits_NC, labels_N


def test_scores_are_those_of_scikit_learn():
  draws = np.random.default_rng(0)
  for _ in range(120):
    logits_NC, labels_N = random_split(draws)
    predictions_N = logits_NC.argmax(axis=1)
    classes = np.arange(logits_NC.shape[1])
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")  # of a single class, or none
      expected = [
        metrics.accuracy_score(labels_N, predictions_N),
        metrics.matthews_corrcoef(labels_N, predictions_N),
        metrics.f1_score(labels_N, predictions_N, average="macro"),
        metrics.f1_score(labels_N == 1, predictions_N == 1),
      ]
      matrix = metrics.confusion_matrix(labels_N, predictions_N, labels=classes)
    found = [
      scores.accuracy(logits_NC, labels_N),
      scores.matthews(logits_NC, labels_N),
      scores.macro_f1(logits_NC, labels_N),
      scores.binary_f1(logits_NC, labels_N),
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_array_equal(
      scores.confusion_matrix(logits_NC, labels_N), matrix
    )


def test_matthews_counts_many_examples():
  """The product of four counts of 100,000 is beyond 64 bits."""
  labels_N = np.arange(400_000) % 2
  logits_NC = np.eye(2)[(labels_N + (np.arange(400_000) % 8 == 0)) % 2]
  expected = metrics.matthews_corrcoef(labels_N, logits_NC.argmax(axis=1))
  assert math.isclose(scores.matthews(logits_NC, labels_N), expected)


@pytest.mark.parametrize(
  "score",
  [
    scores.accuracy,
    scores.macro_f1,
    scores.binary_f1,
    scores.matthews,
    scores.confusion_matrix,
  ],
)
def test_no_example_is_refused(score):
  with pytest.raises(ValueError, match="no examples"):
    score(np.zeros((0, 3)), np.zeros(0, np.int32))
