# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from bertjax.finetune.scores import probabilities, score


def test_scores_by_hand():
  # Labels 0 0 1 2; predictions 0 1 1 1: class 2 is never predicted.
  logits_NC = np.asarray(
    [[2, 0, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0]], np.float32
  )
  scores = score(logits_NC, np.asarray([0, 0, 1, 2], np.int32))
  assert scores.accuracy == 0.5
  # F1: class 0 is 2/3, class 1 is 1/2, class 2 is 0; class 3 is nowhere.
  assert math.isclose(scores.macro_f1, (2 / 3 + 1 / 2 + 0) / 3)
  partition = math.log(math.exp(2) + 3)
  assert math.isclose(scores.loss, partition - (2 + 0 + 2 + 0) / 4)


def test_all_right_is_one_and_large_logits_stay_finite():
  labels_N = np.arange(5) % 3
  logits_NC = 1e4 * np.eye(3, dtype=np.float32)[labels_N]
  scores = score(logits_NC, labels_N)
  assert (scores.accuracy, scores.macro_f1, scores.loss) == (1, 1, 0)
  np.testing.assert_allclose(probabilities(logits_NC).sum(axis=1), 1)


def test_the_loss_breaks_ties():
  labels_N = np.asarray([0, 1])
  sure = score(np.asarray([[3.0, 0], [0, 3.0]]), labels_N)
  unsure = score(np.asarray([[1.0, 0], [0, 1.0]]), labels_N)
  assert sure.accuracy == unsure.accuracy
  assert sure.rank("accuracy") > unsure.rank("accuracy")
  assert sure.rank("macro_f1") > unsure.rank("macro_f1")


def test_no_example_is_refused():
  with pytest.raises(ValueError, match="no examples"):
    score(np.zeros((0, 3)), np.zeros(0, np.int32))
