# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from bertjax.finetune import scores


def test_cross_entropy_by_hand():
  logits_NC = np.asarray(
    [[2, 0, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0]], np.float32
  )
  labels_N = np.asarray([0, 0, 1, 2], np.int32)
  loss = scores.cross_entropy(logits_NC, labels_N)
  assert math.isclose(loss, math.log(math.exp(2) + 3) - (2 + 0 + 2 + 0) / 4)


def test_large_logits_stay_finite():
  labels_N = np.arange(5) % 3
  logits_NC = 1e4 * np.eye(3, dtype=np.float32)[labels_N]
  assert scores.cross_entropy(logits_NC, labels_N) == 0
  total_N = scores.probabilities(logits_NC).sum(axis=1)
  np.testing.assert_allclose(total_N, 1)


def test_guesses_are_sorted_by_probability():
  found = scores.Guesses(np.asarray([0.2, 0.5, 0.3]), ("a", "b", "c"))
  assert [guess.text for guess in found] == ["b", "c", "a"]
  assert found[0] == ("b", 0.5)
  assert found[-1] == ("a", 0.2)
  assert found[1:] == [("c", 0.3), ("a", 0.2)]
  assert list(found) == found[:None]
  assert len(found) == 3


def test_no_example_is_refused():
  with pytest.raises(ValueError, match="no examples"):
    scores.cross_entropy(np.zeros((0, 3)), np.zeros(0, np.int32))
