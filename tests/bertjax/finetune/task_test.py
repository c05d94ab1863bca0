# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How scores are ranked."""

import numpy as np

from bertjax.finetune.classification import TASK
from bertjax.finetune.task import rank


def test_the_loss_breaks_ties():
  rows = {
    "label_BR": np.asarray([[0], [1]], np.int32),
    "weight_BR": np.ones((2, 1), np.float32),
  }
  sure = TASK.scores(np.asarray([[3.0, 0], [0, 3.0]]), rows)
  unsure = TASK.scores(np.asarray([[1.0, 0], [0, 1.0]]), rows)
  assert sure["accuracy"] == unsure["accuracy"]
  for metric in TASK.metrics:
    assert rank(sure, metric) > rank(unsure, metric)
