# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

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


@pytest.mark.parametrize("score", [scores.accuracy, scores.macro_f1])
def test_no_example_is_refused(score):
  with pytest.raises(ValueError, match="no examples"):
    score(np.zeros((0, 3)), np.zeros(0, np.int32))
