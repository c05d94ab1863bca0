# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.finetune.regression import TASK
from bertjax.finetune.trial import run_trial
from bertjax.trials.resampling import score_draws
from tests.testing.trials import CONFIG, make_inputs
from tests.testing.windows import make_windows


def test_padding_has_no_loss():
  batch = {
    "score_BR": jnp.asarray([[1.0, 0.0], [3.0, 0.0]]),
    "weight_BR": jnp.asarray([[1.0, 0.0], [1.0, 0.0]]),
  }
  logits_BRC = jnp.asarray([[[2.0], [9.0]], [[1.0], [9.0]]])
  loss, weight = TASK.losses({"logits_BRC": logits_BRC}, batch)["loss"]
  assert float(loss) == 1 + 4
  assert float(weight) == float(TASK.weights(batch)["loss"]) == 2


def test_scores_have_every_metric_column_and_the_loss():
  windows = make_windows({"score_N": np.asarray([1.0, 2.0, 4.0])}, 3)
  outputs = {"logits_NC": np.asarray([[2.0], [3.0], [9.0]], np.float32)}
  scores = TASK.scores(outputs, windows)
  assert scores["spearman"] == pytest.approx(1)
  expected = np.corrcoef([1, 2, 4], [2, 3, 9])[0, 1]
  assert scores["pearson"] == pytest.approx(expected)
  assert scores["loss"] == pytest.approx((1 + 1 + 25) / 3)
  columns = {score for _, score in TASK.columns.values()}
  assert {*TASK.metrics, *columns, "loss"} == {*scores}
  ((answer,), *_) = TASK.answers(outputs, windows, ("score",), ())
  assert answer == (2.0,)
  assert len(answer) == len(TASK.answer_columns)


def test_scores_are_learned():
  values_N = np.asarray([-1.0, 0.5, 1.0], np.float32)
  config = dataclasses.replace(CONFIG, metric="pearson")
  inputs = make_inputs(config, task=TASK, values=values_N)
  result = run_trial(inputs, config, learning_rate=3e-3, seed=0).result
  assert result.test["pearson"] > 0.9
  assert result.test["loss"] < 0.3
  assert not result.classes


def test_scores_follow_from_what_is_kept_of_each_example():
  rng = np.random.default_rng(0)
  windows = make_windows({"score_N": rng.normal(size=30)}, 30)
  outputs = {"logits_NC": rng.normal(size=(30, 1))}
  assert TASK.by_example is not None
  columns = TASK.by_example(outputs, windows)
  for metric in TASK.metrics:
    (found,) = score_draws(metric, columns, np.ones((1, 30)))
    assert found == pytest.approx(TASK.scores(outputs, windows)[metric])
