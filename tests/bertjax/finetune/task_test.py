# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How scores are ranked."""

import numpy as np

from bertjax.finetune.classification import TASK
from bertjax.finetune.task import rank
from tests.testing.windows import make_windows


def test_the_loss_breaks_ties():
  labels = make_windows({"label_N": np.asarray([0, 1], np.int32)}, 2)
  sure, unsure = (
    TASK.scores({"logits_NC": logit * np.eye(2)}, labels) for logit in (3, 1)
  )
  assert sure["accuracy"] == unsure["accuracy"]
  for metric in TASK.metrics:
    assert rank(sure, metric) > rank(unsure, metric)
