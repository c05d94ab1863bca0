# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.finetune.multi_label import TASK
from bertjax.finetune.trial import run_trial
from bertjax.trials.resampling import score_draws
from data_pipelines.tasks.classification import balance_answers, make_targets
from tests.testing.trials import CONFIG, make_inputs
from tests.testing.windows import make_windows


def test_padding_has_no_loss():
  batch = {
    "label_BRC": jnp.asarray([[[1.0, 0.0], [0.0, 0.0]]]),
    "weight_BRC": jnp.asarray([[[1.0, 1.0], [0.0, 0.0]]]),
    "weight_BR": jnp.asarray([[1.0, 0.0]]),
  }
  logits_BRC = jnp.asarray([[[2.0, 0.0], [9.0, 9.0]]])
  loss, weight = TASK.losses({"logits_BRC": logits_BRC}, batch)["loss"]
  assert float(loss) == pytest.approx(
    (math.log1p(math.exp(-2)) + math.log(2)) / 2
  )
  assert float(weight) == float(TASK.weights(batch)["loss"]) == 1


def test_scores_have_every_metric_column_and_the_loss():
  labels_NC = np.asarray([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
  outputs = {"logits_NC": np.asarray([[3.0, -1.0], [1.0, -2.0], [-1.0, 2.0]])}
  windows = make_windows({"label_NC": labels_NC}, 3)
  scores = TASK.scores(outputs, windows)
  # Right 2, predicted 3, labeled 3.
  assert scores["micro_f1"] == pytest.approx(2 * 2 / 6)
  assert scores["macro_f1"] == pytest.approx((1 + 0) / 2)
  assert scores["exact"] == pytest.approx(1 / 3)
  columns = {score for _, score in TASK.columns.values()}
  assert {*TASK.metrics, *columns, "loss"} == {*scores}
  assert TASK.count_classes is not None
  counts = TASK.count_classes(outputs, windows)
  assert counts.labels == (2, 1)


def test_scores_follow_from_what_is_kept_of_each_text():
  draw = np.random.default_rng(0)
  labels_NC = (draw.random((40, 3)) < 0.3).astype(np.float32)
  outputs = {"logits_NC": draw.normal(size=(40, 3))}
  windows = make_windows({"label_NC": labels_NC}, 40)
  assert TASK.by_example is not None
  columns = TASK.by_example(outputs, windows)
  scores = TASK.scores(outputs, windows)
  for name in ("micro_f1", "exact"):
    (found,) = score_draws(name, columns, np.ones((1, 40)))
    assert found == pytest.approx(scores[name])


def test_answers_say_which_labels_are_given():
  outputs = {"logits_NC": np.asarray([[0.0, -1.0, 2.0]])}
  ((first, *rest),) = TASK.answers(
    outputs, make_windows({}, 1), ("a", "b", "c"), ()
  )
  assert first[0] == "c"
  assert first[1] == pytest.approx(1 / (1 + math.exp(-2)))
  assert [(label, given) for label, _, given in (first, *rest)] == [
    ("c", True),
    ("a", True),  # a probability of 0.5
    ("b", False),
  ]
  assert len(first) == len(TASK.answer_columns)


def test_each_question_is_calibrated():
  windows = make_windows({"label_NC": np.asarray([[1.0, 0.0]])}, 1)
  outputs = {"logits_NC": np.asarray([[2.0, 3.0]])}
  assert TASK.class_logits is not None
  logits_NC, labels_N = TASK.class_logits(outputs, windows)
  assert logits_NC.tolist() == [[0, 2], [0, 3]]
  assert labels_N.tolist() == [1, 0]


def test_several_labels_are_learned():
  # The first class of noise has two labels, and the last one none.
  values_NC = np.asarray([[1, 1, 0], [0, 1, 1], [0, 0, 0]], bool)
  config = dataclasses.replace(CONFIG, metric="micro_f1")
  inputs = make_inputs(config, task=TASK, values=values_NC)
  result = run_trial(inputs, config, learning_rate=3e-3, seed=0).result
  assert result.test["micro_f1"] > 0.9
  assert result.classes["test"].labels[1] > result.classes["test"].labels[0]


def test_the_focal_loss_looks_away_from_what_is_right():
  logits_BRC = jnp.asarray([[[3.0, -2.0, 0.5]]])
  batch = {
    "label_BRC": jnp.asarray([[[1.0, 1.0, 0.0]]]),
    "weight_BRC": jnp.ones((1, 1, 3)),
    "weight_BR": jnp.ones((1, 1)),
  }
  metrics = TASK.losses({"logits_BRC": logits_BRC}, batch, focal_exponent=2.0)
  right_C = 1 / (1 + np.exp(-np.asarray([3.0, -2.0, -0.5])))
  expected = (-np.log(right_C) * (1 - right_C) ** 2).mean()
  np.testing.assert_allclose(metrics["loss"][0], expected, rtol=1e-5)


def test_smoothing_moves_the_target_towards_both_answers():
  torch = pytest.importorskip("torch")
  logits_BRC = jnp.asarray([[[3.0, -2.0, 0.5]]])
  label_BRC = jnp.asarray([[[1.0, 1.0, 0.0]]])
  batch = {
    "label_BRC": label_BRC,
    "weight_BRC": jnp.ones((1, 1, 3)),
    "weight_BR": jnp.ones((1, 1)),
  }
  found = TASK.losses({"logits_BRC": logits_BRC}, batch, label_smoothing=0.2)
  wanted = torch.nn.functional.binary_cross_entropy_with_logits(
    torch.tensor(np.asarray(logits_BRC)),
    torch.tensor(np.asarray(label_BRC)) * 0.8 + 0.1,
  )
  assert float(found["loss"][0]) == pytest.approx(float(wanted), rel=1e-5)


def test_balanced_labels_have_the_loss_of_torch():
  torch = pytest.importorskip("torch")
  draws = np.random.default_rng(0)
  labels_NC = draws.random((12, 4)) < np.asarray([0.1, 0.4, 0.6, 0.9])
  labels_NC[0], labels_NC[1] = True, False
  logits_NC = draws.normal(size=(12, 4)).astype(np.float32)
  batch = {
    **make_targets(labels_NC),
    "weight_BRC": balance_answers(labels_NC)[:, None],
  }
  found = TASK.losses({"logits_BRC": jnp.asarray(logits_NC[:, None])}, batch)
  yes_C = labels_NC.sum(axis=0)
  wanted = torch.nn.BCEWithLogitsLoss(
    pos_weight=torch.tensor((12 - yes_C) / yes_C)
  )(torch.tensor(logits_NC), torch.tensor(labels_NC, dtype=torch.float32))
  loss, weight = found["loss"]
  assert float(loss / weight) == pytest.approx(float(wanted), rel=1e-5)
