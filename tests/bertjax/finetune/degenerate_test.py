# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from bertjax.finetune import regression
from bertjax.finetune.degenerate import degenerate_seeds
from bertjax.finetune.scores import ClassCounts
from bertjax.finetune.trial import TrialResult
from tests.testing.windows import make_windows

SCORES = {"accuracy": 0.5, "loss": 1.0}


def make_seed(labels, predictions, scores=SCORES):
  counts = {"dev": ClassCounts(labels, predictions, (0,) * len(labels))}
  return TrialResult(1, scores, {}, 0.1, (), counts if labels else {})


@pytest.mark.parametrize(
  ("labels", "predictions", "found"),
  [
    ((4, 3, 0), (7, 0, 0), True),
    ((4, 3, 0), (0, 0, 7), True),  # even of a class that dev lacks
    ((4, 3, 0), (6, 1, 0), False),
    ((7, 0, 0), (7, 0, 0), False),
    ((4, 3, 0), (0, 0, 0), True),  # several labels, none is given
    ((4,), (0,), True),
    ((4,), (9,), False),
    ((0, 0), (0, 0), False),
  ],
)
def test_a_seed_that_predicts_one_class_alone_is_degenerate(
  labels, predictions, found
):
  runs = {3: make_seed((4, 3), (4, 3)), 5: make_seed(labels, predictions)}
  assert degenerate_seeds(runs) == ((5,) if found else ())


def test_a_seed_that_predicts_one_score_alone_is_degenerate():
  windows = make_windows({"score_N": np.asarray([1.0, 2, 4], np.float32)}, 3)
  runs = {
    seed: make_seed(
      (), (), regression.TASK.scores({"logits_NC": logits_NC}, windows)
    )
    for seed, logits_NC in enumerate((np.eye(3)[:, :1], np.ones((3, 1))))
  }
  assert degenerate_seeds(runs) == (1,)
  # A run without counts, of an earlier version of spans, is not judged.
  assert degenerate_seeds({0: make_seed((), ())}) == ()


def test_what_a_task_declares_is_believed():
  runs = {
    seed: dataclasses.replace(make_seed((), ()), is_degenerate=found)
    for seed, found in enumerate((False, True, None))
  }
  assert degenerate_seeds(runs) == (1,)
