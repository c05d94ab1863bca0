# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.finetune.multiple_choice import TASK
from bertjax.finetune.programs import make_programs
from bertjax.finetune.splits import make_split, split_outputs
from bertjax.finetune.trial import TrialInputs, run_trial
from bertjax.parallel.mesh import make_mesh
from data_pipelines.tasks.batches import TaskBatches
from data_pipelines.tasks.choices import Question
from tests.testing import trials
from tests.testing.windows import make_windows

CONFIG = dataclasses.replace(trials.CONFIG, pack=True)


def examples(count, seed, *, pack=True):
  """Two or three choices of noise; three tokens tell the right one."""
  generator = np.random.default_rng(seed)
  count_E = generator.integers(2, 4, count)
  owners_N = np.repeat(np.arange(count), count_E)
  first_E = np.cumsum(count_E) - count_E
  right_E = first_E + generator.integers(0, count_E)
  total, length = len(owners_N), trials.LENGTH
  rows = empty_batch(ENCODER_FEATURES, {"B": total, "S": length, "R": 1})
  is_right_N = np.isin(np.arange(total), right_E)
  lengths_N = generator.integers(5, length + 1, total)
  real_NS = np.arange(length) < lengths_N[:, None]
  rows["tokens_BS"][...] = generator.integers(16, 64, (total, length))
  rows["tokens_BS"][:, 1:4] = 10 + is_right_N[:, None]
  rows["tokens_BS"][~real_NS] = 0
  rows["positions_BS"][...] = np.where(real_NS, np.arange(length), 0)
  rows["packs_BS"][...] = real_NS
  targets = {
    "label_BR": is_right_N[:, None].astype(np.float32),
    "first_BR": np.isin(np.arange(total), first_E)[:, None].astype(np.int32),
    "weight_BR": np.ones((total, 1), np.float32),
  }
  return TaskBatches(rows, targets, owners_N=owners_N, pack=pack, together=3)


def by_hand(logits_E):
  """Cross-entropy of lists of logits, the first of each being right."""
  return sum(np.log(np.exp(each).sum()) - each[0] for each in logits_E)


def test_the_loss_is_over_the_choices_of_an_example():
  # A row with an example of three, one of two, and padding; a row of padding.
  logits_BR = jnp.asarray([[2.0, 1, 3, 0, 5, 9], [9.0, 9, 9, 9, 9, 9]])
  batch = {
    "label_BR": jnp.asarray([[1.0, 0, 0, 1, 0, 0], [0.0] * 6]),
    "first_BR": jnp.asarray([[1, 0, 0, 1, 0, 0], [0] * 6]),
    "weight_BR": jnp.asarray([[1.0, 1, 1, 1, 1, 0], [0.0] * 6]),
  }
  metrics = TASK.losses({"logits_BRC": logits_BR[..., None]}, batch)
  loss, weight = metrics["loss"]
  assert float(loss) == pytest.approx(by_hand([[2, 1, 3], [0, 5]]), rel=1e-5)
  assert float(weight) == float(TASK.weights(batch)["loss"]) == 2
  assert float(metrics["accuracy"][0]) == 0
  better = TASK.losses(
    {"logits_BRC": logits_BR.at[0, 0].set(4)[..., None]}, batch
  )
  assert float(better["accuracy"][0]) == 1


def test_scores_and_answers_are_of_examples():
  owner_N = np.asarray([0, 0, 0, 1, 1])
  outputs = {"logits_NC": np.asarray([[4.0], [1], [3], [0], [5]])}
  windows = dataclasses.replace(
    make_windows({"label_N": np.asarray([1.0, 0, 0, 1, 0])}, 5),
    owner_N=owner_N,
    examples=(
      Question("x", ("a", "b", "c"), 0),
      Question("y", ("d", "e"), 0),
    ),
  )
  scores = TASK.scores(outputs, windows)
  assert scores["accuracy"] == 0.5
  assert scores["loss"] == pytest.approx(by_hand([[4, 1, 3], [0, 5]]) / 2)
  columns = {score for _, score in TASK.columns.values()}
  assert {*TASK.metrics, *columns, "loss"} == {*scores}
  first, second = TASK.answers(outputs, windows, (), ())
  assert [text for text, *_ in first] == ["a", "c", "b"]
  assert [text for text, *_ in second] == ["e", "d"]
  assert sum(probability for _, probability, _ in second) == pytest.approx(1)
  assert len(second[0]) == len(TASK.answer_columns)


@pytest.mark.parametrize(
  ("logits_N", "label_N", "found"),
  [
    ([4, 1, 5, 0], [1, 0, 0, 1], True),  # the first one always
    ([1, 4, 0, 5], [1, 0, 0, 1], True),
    ([1, 4, 5, 0], [1, 0, 0, 1], False),
    ([4, 1, 5, 0], [1, 0, 1, 0], False),  # which is right always
  ],
)
def test_one_choice_always_is_degenerate(logits_N, label_N, found):
  windows = dataclasses.replace(
    make_windows({"label_N": np.asarray(label_N, np.float32)}, 4),
    owner_N=np.asarray([0, 0, 1, 1]),
  )
  outputs = {"logits_NC": np.asarray(logits_N, np.float32)[:, None]}
  assert TASK.is_degenerate
  assert TASK.is_degenerate({}, outputs, windows) == found


@pytest.fixture(scope="module")
def programs():
  mesh = make_mesh(CONFIG.mesh, jax.devices()[:1])
  return make_programs(TASK, 0, trials.MODEL, CONFIG, trials.STEPS, mesh)


def test_packed_choices_have_the_outputs_of_unpacked_ones(programs):
  params = programs.initialize(0).params
  packed, plain = (
    split_outputs(
      programs,
      params,
      make_split(examples(30, 1, pack=pack), programs, 24),
    )
    for pack in (True, False)
  )
  np.testing.assert_allclose(
    packed["logits_NC"], plain["logits_NC"], rtol=0, atol=1e-5
  )


def test_the_right_choice_is_learned(programs):
  train = examples(96, 0)
  shapes = train.shapes(
    batch_size=16,
    seeds=range(1),
    steps=trials.STEPS,
    multiple=1,
    compile_rows=1e9,  # one program
  )
  inputs = TrialInputs(
    programs=programs,
    start=programs.initialize,
    train=lambda seed, step: train.training(
      seed=seed, step=step, batch_size=16, shapes=shapes
    ),
    dev=make_split(examples(30, 1), programs, 24),
    test=make_split(examples(30, 2), programs, 24),
    steps=trials.STEPS,
  )
  result = run_trial(inputs, CONFIG, learning_rate=3e-3, seed=0).result
  assert result.test["accuracy"] > 0.9


def test_smoothing_is_over_the_choices_of_an_example():
  torch = pytest.importorskip("torch")
  logits_BR = jnp.asarray([[2.0, 1, 3, 0, 5, 9]])
  batch = {
    "label_BR": jnp.asarray([[1.0, 0, 0, 0, 1, 0]]),
    "first_BR": jnp.asarray([[1, 0, 0, 1, 0, 0]]),
    "weight_BR": jnp.asarray([[1.0, 1, 1, 1, 1, 0]]),
  }
  found = TASK.losses(
    {"logits_BRC": logits_BR[..., None]}, batch, label_smoothing=0.3
  )
  wanted = sum(
    float(
      torch.nn.functional.cross_entropy(
        torch.tensor([logits]), torch.tensor([right]), label_smoothing=0.3
      )
    )
    for logits, right in (([2.0, 1, 3], 0), ([0.0, 5], 1))
  )
  assert float(found["loss"][0]) == pytest.approx(wanted, rel=1e-5)
