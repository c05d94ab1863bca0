# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import math

import jax.numpy as jnp
import numpy as np

from bertjax.finetune.classification import TASK
from bertjax.trials.resampling import score_draws
from tests.testing.windows import make_windows


def make_batch(labels, weights):
  return {
    "label_BR": jnp.asarray(labels, jnp.int32)[:, None],
    "weight_BR": jnp.asarray(weights, jnp.float32)[:, None],
  }


def test_padding_rows_have_no_loss():
  logits_BRC = jnp.asarray([[[0.0, 1.0]], [[2.0, 0.0]], [[9.0, 0.0]]])
  batch = make_batch([1, 1, 0], [1, 1, 0])
  metrics = TASK.losses({"logits_BRC": logits_BRC}, batch)
  loss, weight = metrics["loss"]
  assert float(weight) == float(TASK.weights(batch)["loss"]) == 2
  expected = math.log(1 + math.exp(-1)) + math.log(1 + math.exp(2))
  assert math.isclose(float(loss), expected, rel_tol=1e-6)
  assert [float(each) for each in metrics["accuracy"]] == [1, 2]


def test_scores_have_every_metric_column_and_the_loss():
  labels_N = np.asarray([0, 1], np.int32)
  outputs = {"logits_NC": np.asarray([[1.0, 0], [1.0, 0]])}
  scores = TASK.scores(outputs, make_windows({"label_N": labels_N}, 2))
  assert scores["accuracy"] == 0.5
  columns = {score for _, score in TASK.columns.values()}
  assert {*TASK.metrics, *columns, "loss"} == {*scores}


def test_f1_is_that_of_the_second_of_two_classes():
  labels_N = np.asarray([0, 1, 1, 0], np.int32)
  logits_NC = np.eye(3)[[1, 1, 0, 0]]
  windows = make_windows({"label_N": labels_N}, 4)
  of_two = TASK.scores({"logits_NC": logits_NC[:, :2]}, windows)
  assert of_two["f1"] == 0.5
  assert of_two["matthews"] == 0.0
  assert "f1" not in TASK.scores({"logits_NC": logits_NC}, windows)


def test_answers_are_labels_for_each_example():
  outputs = {"logits_NC": np.asarray([[0.0, 1.0], [2.0, 0.0]])}
  first, second = TASK.answers(outputs, make_windows({}, 2), ("a", "b"), ())
  assert [label for label, _ in first] == ["b", "a"]
  assert math.isclose(second[0][1], 1 / (1 + math.exp(-2)))
  assert all(len(each) == len(TASK.answer_columns) for each in first)


def test_scores_follow_from_what_is_kept_of_each_example():
  rng = np.random.default_rng(0)
  labels_N = rng.integers(0, 2, 30)
  outputs = {"logits_NC": rng.normal(size=(30, 2))}
  windows = make_windows({"label_N": labels_N}, 30)
  assert TASK.by_example is not None
  columns = TASK.by_example(outputs, windows)
  for metric in ("matthews", "macro_f1", "f1"):
    (found,) = score_draws(metric, columns, np.ones((1, 30)))
    assert math.isclose(found, TASK.scores(outputs, windows)[metric])
