# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the step: a mesh changes nothing, and a batch keeps its contract."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
import optax
import pytest

from bertjax.config import MeshConfig
from bertjax.parallel import feeding
from bertjax.parallel.mesh import make_mesh
from bertjax.train import state, step
from tests.testing import tiny, toy
from tests.testing.training import (
  MESHES,
  OPTIMIZER,
  check_same,
  train,
  train_alone,
)


@pytest.fixture(scope="module")
def alone():
  """Results on one device, by dropout rate."""
  return functools.cache(train_alone)


@pytest.mark.parametrize(
  ("name", "rate"),
  [
    ("data", 0.0),
    ("zero1 and all", 0.2),
    pytest.param("zero1", 0.0, marks=pytest.mark.full),
    pytest.param("all", 0.2, marks=pytest.mark.full),
    pytest.param("zero1", 0.2, marks=pytest.mark.full),
    pytest.param("fsdp", 0.2, marks=pytest.mark.full),
    pytest.param("tensor", 0.2, marks=pytest.mark.full),
    pytest.param("all", 0.0, marks=pytest.mark.full),
    pytest.param("fsdp", 0.0, marks=pytest.mark.full),
  ],
)
def test_a_mesh_changes_no_loss_no_gradient_and_no_parameter(
  alone, name, rate, capfd
):
  got = train(MESHES[name], rate=rate)
  # What the partitioner says where it gives every device the whole batch.
  assert "full rematerialization" not in capfd.readouterr().err
  check_same(alone(rate), got)
  assert got.metrics[0]["grad_norm"][0] > 0
  assert got.traces == 1


@pytest.mark.parametrize(
  "name", ["muon", pytest.param("lamb", marks=pytest.mark.full)]
)
def test_a_mesh_changes_no_optimizer_that_reads_whole_matrices(name):
  """Norms of layers, and matrices made orthogonal, across what a mesh cuts."""
  config = dataclasses.replace(OPTIMIZER, name=name)
  one = train(MeshConfig(data=1), devices=jax.devices()[:1], config=config)
  check_same(one, train(MESHES["all"], config=config))


def test_dropout_is_on_and_changes_from_step_to_step(alone):
  plain, dropped = alone(0.0), alone(0.2)
  assert plain.metrics[0]["loss"] != dropped.metrics[0]["loss"]


def test_packing_efficiency_is_the_share_that_is_no_padding(alone):
  for batch, metrics in zip(tiny.batches(0), alone(0.0).metrics, strict=False):
    filled, positions = metrics["packing_efficiency"]
    assert (filled, positions) == (
      (batch["packs_BS"] > 0).sum(),
      batch["packs_BS"].size,
    )
    assert 0 < filled < positions


@pytest.mark.parametrize(
  "generator", ["threefry", pytest.param("rbg", marks=pytest.mark.full)]
)
def test_a_seed_may_be_an_input_of_the_compiled_step(generator):
  """It is folded into the last key, that of the shard and micro-batch."""
  mesh = make_mesh(MeshConfig(data=2), jax.devices()[:2])
  task, optimizer = toy.task(dropout_rate=0.5), optax.sgd(0.1)
  create = state.make_initializer(toy.init_params, optimizer, mesh)
  options = step.StepOptions(accumulation=2, dropout_rng=generator)

  def make(task, options):
    return step.make_train_step(task, optimizer, mesh, create(0), options)

  def fixed(seed):
    folded = lambda params, batch, *, rng, **settings: task.losses(
      params, batch, rng=jax.random.fold_in(rng, np.uint32(seed)), **settings
    )
    return make(dataclasses.replace(task, losses=folded), options)

  placed = feeding.put_batch(toy.batch(0), mesh)
  any_seed: Any = make(task, dataclasses.replace(options, seed=None))
  losses = set()
  for seed in (0, 7):
    end, metrics = any_seed(create(0), placed, np.uint32(seed))
    expected, _ = fixed(seed)(create(0), placed)
    jax.tree.map(np.testing.assert_array_equal, end.params, expected.params)
    losses.add(float(metrics["loss"][0]))
  assert len(losses) == 2
  assert any_seed._cache_size() == 1


@pytest.mark.parametrize("zero1", [False, True])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_writes_the_state_where_the_old_one_was(zero1, parts):
  """Parameters and optimizer state are in memory once: all are donated."""
  mesh = make_mesh(MeshConfig(data=2, zero1=zero1), jax.devices()[:2])
  optimizer = optax.sgd(0.1, momentum=0.9)
  start = state.make_initializer(toy.init_params, optimizer, mesh, zero1=zero1)(
    0
  )
  train_step: Any = step.make_train_step(
    toy.task(), optimizer, mesh, start, step.StepOptions(accumulation=parts)
  )
  batch = feeding.put_batch(toy.batch(0), mesh)
  compiled = train_step.lower(start, batch).compile()
  of_a_device = sum(
    leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(start)
  )
  donated = compiled.memory_analysis().alias_size_in_bytes
  assert donated == of_a_device
  end, _ = compiled(start, batch)
  assert all(leaf.is_deleted() for leaf in jax.tree.leaves(start))
  assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(end))


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"weight_B": np.ones(16, np.int32)}, "weight_B is int32; give float32"),
    ({"more_B": np.ones(16, np.int32)}, r"batch has .*'more_B'"),
    ({"label_B": np.ones(8, np.int32)}, "label_B has size 8 along B; give 16"),
  ],
)
def test_a_batch_that_breaks_the_contract_is_refused(change, message):
  mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
  task, optimizer = toy.task(), optax.sgd(0.1)
  fresh = state.make_state(toy.init_params, optimizer, mesh, seed=0)
  train_step: Any = step.make_train_step(
    task, optimizer, mesh, fresh, step.StepOptions()
  )
  batch = feeding.put_batch({**toy.batch(0), **change}, mesh)
  with pytest.raises(ValueError, match=message):
    train_step(fresh, batch)
  with pytest.raises(ValueError, match=message):
    step.make_eval_step(task, mesh)(fresh.params, batch)
