# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Loss, evaluation and a reference pool the windows of a choice alike."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.batch import check_batch
from bertjax.config import TaskConfig
from bertjax.finetune.choice_windows import pool_choices, pool_rows
from bertjax.finetune.multiple_choice import TASK
from bertjax.finetune.programs import make_programs
from bertjax.finetune.splits import make_split, split_outputs
from bertjax.finetune.windows import Windows
from bertjax.parallel.mesh import make_mesh
from data_pipelines.tasks.batches import TaskBatches
from data_pipelines.tasks.choice_rows import encode_choices, make_targets
from data_pipelines.tasks.choices import Question
from launch import tasks
from tests.testing import trials
from tests.testing.number_tokenizer import NumberTokenizer

POOLINGS = ("mean", "max", "attention")
CONFIG = dataclasses.replace(
  trials.CONFIG, hidden_dropout_rate=0.0, attention_dropout_rate=0.0
)
# An example with choices of 2 and 1 windows, one with 1 and 3, and padding.
FIRST_BR = [[1, -1, 0, 1, 0, -1, -1, 0], [0] * 8]
WEIGHT_BR = [[1.0] * 7 + [0], [0.0] * 8]
LABEL_BR = [[1.0, 0, 0, 0, 1, 0, 0, 0], [0.0] * 8]
BATCH = {
  "first_BR": jnp.asarray(FIRST_BR),
  "weight_BR": jnp.asarray(WEIGHT_BR),
  "label_BR": jnp.asarray(LABEL_BR),
}
POOLS = {"mean": np.mean, "max": np.max}


def task_of(pooling):
  return tasks.find(
    TaskConfig(kind="table", target="choice", long_texts=pooling)
  )


def questions(count, seed, longest=20):
  """Two or three choices, of which some are much longer than a row."""
  generator = np.random.default_rng(seed)

  def text(length):
    return " ".join(map(str, generator.integers(10, 60, length)))

  made = []
  for _ in range(count):
    choices = tuple(
      text(generator.integers(1, longest))
      for _ in range(generator.integers(2, 4))
    )
    made.append(
      Question(text(2), choices, int(generator.integers(len(choices))))
    )
  return made


def batches(asked, *, pack=True, stride=3, together=32):
  encoded = encode_choices(
    NumberTokenizer(),
    [each.context for each in asked],
    [each.choices for each in asked],
    trials.LENGTH,
    stride,
  )
  return TaskBatches(
    encoded.features,
    make_targets(encoded, [each.right for each in asked]),
    owners_N=encoded.owner_N,
    examples=asked,
    pack=pack,
    together=together,
  )


def programs_of(pooling):
  mesh = make_mesh(CONFIG.mesh, jax.devices()[:1])
  return make_programs(
    task_of(pooling), 0, trials.MODEL, CONFIG, trials.STEPS, mesh
  )


@pytest.fixture(scope="module")
def programs():
  return programs_of("mean")


@pytest.fixture(scope="module")
def params(programs):
  return programs.initialize(0).params


def by_hand(pool):
  """Cross-entropy of both examples, from windows 1, 2, … of logits 1, 2, …"""
  first = pool([1, 2]), 3
  second = pool([5, 6, 7]), 4
  return sum(
    np.log(np.exp(right) + np.exp(wrong)) - right
    for right, wrong in (first, second)
  )


def losses_of(pooling, logits_BR, batch=None, **options):
  outputs = {"logits_BRC": logits_BR[..., None]}
  return task_of(pooling).losses(outputs, batch or BATCH, **options)


@pytest.mark.parametrize("pooling", [*POOLS])
def test_the_softmax_is_over_pooled_choices(pooling):
  logits_BR = jnp.asarray([[1.0, 2, 3, 4, 5, 6, 7, 99], [99.0] * 8])
  metrics = losses_of(pooling, logits_BR)
  loss, weight = metrics["loss"]
  assert float(loss) == pytest.approx(by_hand(POOLS[pooling]), rel=1e-5)
  assert float(weight) == float(TASK.weights(BATCH)["loss"]) == 2
  assert float(metrics["accuracy"][0]) == 1
  # A choice counts once in what the smoothing divides.
  smooth = float(losses_of(pooling, logits_BR, label_smoothing=0.2)["loss"][0])
  right = POOLS[pooling]([1, 2]), POOLS[pooling]([5, 6, 7])
  moved = 0.1 * (right[0] - 3) + 0.1 * (right[1] - 4)
  assert smooth == pytest.approx(float(loss) + moved, rel=1e-5)


@pytest.mark.parametrize("pooling", [*POOLS])
def test_padding_and_other_examples_change_nothing(pooling):
  logits_BR = jnp.arange(16.0).reshape(2, 8) / 5
  weight_BR = BATCH["weight_BR"]

  def loss(logits_BR):
    return losses_of(pooling, logits_BR)["loss"][0]

  plain, gradient_BR = jax.value_and_grad(loss)(logits_BR)
  assert not gradient_BR[weight_BR == 0].any()
  assert float(loss(jnp.where(weight_BR > 0, logits_BR, 1e6))) == float(plain)
  largest = pooling == "max"
  args = BATCH["first_BR"], weight_BR
  before_BR = pool_rows(logits_BR, *args, largest=largest)
  after_BR = pool_rows(logits_BR.at[0, 3:].add(50), *args, largest=largest)
  np.testing.assert_array_equal(before_BR[0, :3], after_BR[0, :3])


@pytest.mark.parametrize("pooling", [*POOLS])
def test_one_window_a_choice_has_the_bits_of_plain_choices(pooling):
  batch = {
    **BATCH,
    "first_BR": jnp.asarray([[1, 0, 0, 1, 0, 0, 0, 0], [0] * 8]),
  }
  logits_BR = jax.random.normal(jax.random.key(0), (2, 8))

  def loss(logits_BR, task):
    outputs = {"logits_BRC": logits_BR[..., None]}
    return task.losses(outputs, batch, label_smoothing=0.1)["loss"][0]

  for found, wanted in zip(
    *(
      jax.value_and_grad(loss)(logits_BR, task)
      for task in (task_of(pooling), TASK)
    ),
    strict=True,
  ):
    np.testing.assert_array_equal(found, wanted)
  outputs = {"logits_NC": np.asarray(logits_BR[0, :7, None])}
  label_N, owner_N = np.asarray([0.0, 1, 0, 1, 0, 0, 0]), [0] * 3 + [1] * 4
  scores = [
    TASK.scores(
      outputs,
      Windows(
        {"label_N": label_N, **marks},
        np.full(7, 3),
        np.asarray(owner_N),
        settings={"pool_max": float(pooling == "max")},
      ),
    )
    for marks in ({}, {"first_N": np.asarray([1, 0, 0, 1, 0, 0, 0])})
  ]
  assert scores[0] == scores[1]


def test_short_examples_have_the_batches_of_plain_choices():
  asked = questions(20, 0, longest=3)
  divided = batches(asked, together=3)
  cut = batches(asked, stride=0, together=3)
  assert divided.sha256() == cut.sha256()


@pytest.fixture(scope="module")
def attending():
  return programs_of("attention")


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("pack", [True, False])
def test_evaluation_has_the_loss_of_training(
  programs, attending, pooling, pack
):
  if pooling == "attention":
    programs = attending
  task = task_of(pooling)
  params = programs.initialize(0).params
  # Logits and weights that differ a lot.
  params["classifier"]["dense"]["kernel"] *= 50
  if pooling == "attention":
    params["window_scorer"]["dense"]["kernel"] *= 50
  asked = questions(24, 0)
  data = batches(asked, pack=pack)
  assert data.num_windows > 60
  shapes = data.shapes(
    batch_size=24, seeds=[0], steps=1, multiple=1, compile_rows=0
  )
  batch = data.training(seed=0, step=0, batch_size=24, shapes=shapes)
  check_batch(batch, task.features)
  losses = task.losses(programs.outputs(params, batch), batch)
  loss, weight = losses["loss"]
  assert float(weight) == 24
  settings = {"pool_max": float(pooling == "max")}
  # The last batch has padding, and windows stand alone in it.
  for scored in (data, batches(asked, pack=pack, together=0)):
    split = make_split(scored, programs, 7, (), settings)
    scores = task.scores(split_outputs(programs, params, split), split.windows)
    assert scores["loss"] == pytest.approx(float(loss) / 24, rel=1e-5)
    accuracy = float(losses["accuracy"][0]) / 24
    assert scores["accuracy"] == pytest.approx(accuracy)


def test_packed_windows_have_the_outputs_of_unpacked_ones(programs, params):
  asked = questions(30, 1)
  packed, plain, alone = (
    split_outputs(
      programs, params, make_split(batches(some, pack=pack), programs, 8)
    )["logits_NC"]
    for some, pack in ((asked, True), (asked, False), (asked[:1], True))
  )
  np.testing.assert_allclose(packed, plain, rtol=0, atol=1e-5)
  np.testing.assert_allclose(alone, plain[: len(alone)], rtol=0, atol=1e-5)
  assert len(alone) > 3


def test_answers_are_of_pooled_choices():
  windows = Windows(
    {"first_N": np.asarray([1, -1, 0])},
    np.full(3, 3),
    np.zeros(3, np.int64),
    (Question("x", ("a", "b"), -1),),
  )
  outputs = {"logits_NC": np.asarray([[6.0], [0], [4]])}
  (mean,) = TASK.answers(outputs, windows, (), ())
  (largest,) = TASK.answers(outputs, windows.tuned({"pool_max": 1.0}), (), ())
  assert [each[0] for each in mean] == ["b", "a"]
  assert [each[0] for each in largest] == ["a", "b"]
  assert mean[0][1] == pytest.approx(1 / (1 + np.exp(-1)))


def test_each_pooling_is_made_once():
  assert pool_choices(largest=True) is pool_choices(largest=True)
  assert task_of("cut") is TASK
  assert {task_of(pooling).name for pooling in POOLINGS} == {TASK.name}
