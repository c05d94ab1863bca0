# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Loss, evaluation and a reference weigh the windows of a text alike."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.batch import check_batch
from bertjax.config import TaskConfig
from bertjax.finetune import classification, multi_label, regression
from bertjax.finetune.programs import make_programs
from bertjax.finetune.splits import make_split, split_outputs
from bertjax.finetune.trial import TrialInputs, run_trial
from bertjax.finetune.window_attention import pool_by_attention, pool_rows
from bertjax.finetune.windows import Windows, pool
from bertjax.parallel.mesh import make_mesh
from data_pipelines.tasks.batches import RowOptions
from data_pipelines.tasks.classification import (
  Classification,
  LabeledTexts,
  make_reader,
)
from tests.testing import trials
from tests.testing.number_tokenizer import NumberTokenizer

TASK = pool_by_attention(classification.TASK)
CLASSES = trials.CLASSES
MODEL = dataclasses.replace(trials.MODEL, vocab_size=100)
CONFIG = dataclasses.replace(
  trials.CONFIG, hidden_dropout_rate=0.0, attention_dropout_rate=0.0
)
FIRST_BR = [[1, 0, 0, 1, 0, 0], [0] * 6]
WEIGHT_BR = [[1 / 3, 1 / 3, 1 / 3, 0.5, 0.5, 0], [0.0] * 6]


def texts(count, seed):
  """Long texts of noise; one word somewhere tells the class."""
  generator = np.random.default_rng(seed)
  labels_N = generator.integers(0, CLASSES, count)
  made = []
  for label in labels_N:
    words = generator.integers(20, 60, generator.integers(4, 25))
    words[generator.integers(len(words))] = 10 + label
    made.append(" ".join(map(str, words)))
  return LabeledTexts(tuple(made), None, labels_N.astype(np.int32))


def read(long_texts, *, pack=True):
  loaded = Classification(
    "t", ("a", "b", "c"), texts(90, 0), texts(40, 1), texts(40, 2)
  )
  config = TaskConfig(long_texts=long_texts, stride=6)
  rows = RowOptions(trials.LENGTH, pack=pack)
  return make_reader(lambda _: loaded)(config, NumberTokenizer(), rows)


def programs_of(task):
  mesh = make_mesh(CONFIG.mesh, jax.devices()[:1])
  return make_programs(task, CLASSES, MODEL, CONFIG, trials.STEPS, mesh)


@pytest.fixture(scope="module")
def programs():
  return programs_of(TASK)


def by_hand(logits_NC, score_N):
  weights_N = np.exp(score_N) / np.exp(score_N).sum()
  return weights_N @ logits_NC


def test_pooled_logits_are_those_of_the_reference():
  generator = np.random.default_rng(0)
  logits_BRC = generator.normal(size=(2, 6, 3)).astype(np.float32)
  score_BR = 3 * generator.normal(size=(2, 6)).astype(np.float32)
  score_BR[0, 5] = 1e9  # padding
  logits_BRC[0, 5] = 1e9
  first = by_hand(logits_BRC[0, :3], score_BR[0, :3])
  second = by_hand(logits_BRC[0, 3:5], score_BR[0, 3:5])
  pooled_BRC = pool_rows(
    {
      "logits_BRC": jnp.asarray(logits_BRC),
      "attention_BR": jnp.asarray(score_BR),
    },
    {"first_BR": jnp.asarray(FIRST_BR), "weight_BR": jnp.asarray(WEIGHT_BR)},
  )
  wanted = [first, first, first, second, second]
  np.testing.assert_allclose(pooled_BRC[0, :5], wanted, rtol=1e-5)
  found, _ = pool(
    {"logits_NC": logits_BRC[0, :5], "attention_N": score_BR[0, :5]},
    Windows({}, np.full(5, 3), np.asarray([0, 0, 0, 1, 1])),
  )
  assert {*found} == {"logits_NC"}
  np.testing.assert_allclose(found["logits_NC"], [first, second], rtol=1e-5)


@pytest.mark.parametrize(
  ("task", "target"),
  [
    (classification.TASK, {"label_BR": jnp.zeros((2, 6), jnp.int32)}),
    (
      multi_label.TASK,
      {"label_BRC": jnp.ones((2, 6, 1)), "weight_BRC": jnp.ones((2, 6, 1))},
    ),
    (regression.TASK, {"score_BR": jnp.ones((2, 6))}),
  ],
)
def test_padding_is_invisible_to_every_loss(task, target):
  attending = pool_by_attention(task)
  batch = {
    **target,
    "first_BR": jnp.asarray(FIRST_BR),
    "weight_BR": jnp.asarray(WEIGHT_BR),
  }
  logits_BRC = jnp.arange(12.0).reshape(2, 6, 1) / 5
  score_BR = jnp.arange(12.0).reshape(2, 6) / 3

  def loss(logits_BRC, score_BR):
    outputs = {"logits_BRC": logits_BRC, "attention_BR": score_BR}
    return attending.losses(outputs, batch)["loss"][0]

  plain, (of_logits, of_scores) = jax.value_and_grad(loss, (0, 1))(
    logits_BRC, score_BR
  )
  is_real_BR = batch["weight_BR"] > 0
  assert not of_logits[~is_real_BR].any()
  assert not of_scores[~is_real_BR].any()
  noisy = loss(
    jnp.where(is_real_BR[..., None], logits_BRC, 77),
    jnp.where(is_real_BR, score_BR, 1e6),
  )
  assert float(noisy) == float(plain)
  assert attending.name == task.name
  assert float(attending.weights(batch)["loss"]) == pytest.approx(2)


@pytest.mark.parametrize("pack", [True, False])
def test_evaluation_has_the_loss_of_training(programs, pack):
  data = read("attention", pack=pack)
  train = data.splits["train"]
  count = len(train)
  assert (train.num_drawn, train.num_windows > 2 * count) == (count, True)
  shapes = train.shapes(
    batch_size=count, seeds=[0], steps=1, multiple=1, compile_rows=0
  )
  batch = train.training(seed=0, step=0, batch_size=count, shapes=shapes)
  check_batch(batch, TASK.features)
  params = programs.initialize(0).params
  # Weights that differ a lot.
  params["window_scorer"]["dense"]["kernel"] *= 50
  losses = TASK.losses(programs.outputs(params, batch), batch)
  loss, weight = losses["loss"]
  assert float(weight) == pytest.approx(count)
  split = make_split(train, programs, 200, data.labels, data.settings)
  scores = TASK.scores(split_outputs(programs, params, split), split.windows)
  assert scores["loss"] == pytest.approx(float(loss / weight), rel=1e-5)
  accuracy = float(losses["accuracy"][0]) / count
  assert scores["accuracy"] == pytest.approx(accuracy)


def learn(programs, long_texts):
  data = read(long_texts)
  train = data.splits["train"]
  batch_size = 16 * train.num_drawn // len(train)
  shapes = train.shapes(
    batch_size=batch_size,
    seeds=[0],
    steps=trials.STEPS,
    multiple=1,
    compile_rows=1e9,  # one program
  )
  dev, test = (
    make_split(data.splits[name], programs, 24, data.labels, data.settings)
    for name in ("dev", "test")
  )
  inputs = TrialInputs(
    programs=programs,
    start=programs.initialize,
    train=lambda seed, step: train.training(
      seed=seed, step=step, batch_size=batch_size, shapes=shapes
    ),
    dev=dev,
    test=test,
    steps=trials.STEPS,
  )
  return run_trial(inputs, CONFIG, learning_rate=1e-2, seed=0).result.test


def test_attention_finds_the_window_that_decides(programs):
  found = learn(programs, "attention")
  averaged = learn(programs_of(classification.TASK), "mean")
  assert found["accuracy"] > 0.9
  assert found["accuracy"] > averaged["accuracy"]
  assert found["loss"] < averaged["loss"] / 2


def test_a_text_of_more_windows_than_a_row_has_is_refused():
  long = LabeledTexts((" ".join(["20"] * 100), "21"), None, np.asarray([0, 1]))
  loaded = Classification("t", ("a", "b"), long, long, None)
  config = TaskConfig(long_texts="attention", stride=1)
  with pytest.raises(ValueError, match=r"has 95 windows, .* pools 32 or fewer"):
    make_reader(lambda _: loaded)(config, NumberTokenizer(), RowOptions(8))
