# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the step: meshes and micro-batches change nothing."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from bertjax import optim
from bertjax.config import MeshConfig, ObjectiveConfig, OptimizerConfig
from bertjax.parallel import feeding, sharding
from bertjax.parallel.mesh import make_mesh
from bertjax.train import loop, state, step
from tests.testing import tiny, toy

OPTIMIZER = OptimizerConfig(learning_rate=1e-2, warmup_steps=1)
MESHES = {
  "data": MeshConfig(data=8),
  "fsdp": MeshConfig(data=1, fsdp=8),
  "tensor": MeshConfig(data=2, fsdp=1, tensor=4),
  "all": MeshConfig(data=2, fsdp=2, tensor=2),
  "zero1": MeshConfig(data=8, zero1=True),
  "zero1 and all": MeshConfig(data=2, fsdp=2, tensor=2, zero1=True, slices=2),
}
STEPS = 3


@dataclasses.dataclass
class Trained:
  """What a few steps gave."""

  params: dict
  metrics: list
  traces: int
  program: str


def train(
  mesh_config, *, rate=0.0, accumulation=1, devices=None, config=OPTIMIZER
):
  """Train the tiny encoder from the same parameters on some mesh."""
  mesh = make_mesh(mesh_config, devices)
  optimizer = optim.make_optimizer(config, optim.make_schedule(config, STEPS))
  abstract = state.abstract_state(
    tiny.init_params, optimizer, mesh, zero1=mesh_config.zero1
  )
  params = jax.device_put(
    tiny.params(), jax.tree.map(lambda leaf: leaf.sharding, abstract.params)
  )
  zeros = lambda leaf: jax.device_put(
    np.zeros(leaf.shape, leaf.dtype), leaf.sharding
  )
  start = state.TrainState(
    step=zeros(abstract.step),
    params=params,
    opt_state=jax.tree.map(zeros, abstract.opt_state),
  )
  task = tiny.task(dropout_rate=rate)
  traces = []

  def prepare(batch):
    traces.append(1)
    return task.prepare(batch)

  seen = []

  class Keep(loop.Hook):
    def record(self, record):
      seen.append(record.metrics)

  train_step: Any = step.make_train_step(
    dataclasses.replace(task, prepare=prepare),
    optimizer,
    mesh,
    abstract,
    step.StepOptions(
      accumulation=accumulation,
      schedule=optim.make_schedule(config, STEPS),
    ),
  )
  placed = feeding.put_batch(tiny.batch(0), mesh)
  compiled = train_step.lower(abstract, placed).compile()
  end = loop.train(
    start,
    train_step=compiled,
    batches=tiny.batches,
    steps=STEPS,
    mesh=mesh,
    hooks=[Keep()],
  )
  return Trained(
    jax.device_get(end.params), seen, len(traces), compiled.as_text()
  )


@pytest.fixture(scope="module")
def alone():
  """Results on one device, by dropout rate."""
  results = {}

  def get(rate):
    if rate not in results:
      results[rate] = train(
        MeshConfig(data=1), rate=rate, devices=jax.devices()[:1]
      )
    return results[rate]

  return get


def check_same(left, right):
  for expected, got in zip(left.metrics, right.metrics, strict=True):
    assert expected.keys() == got.keys()
    for name in expected:
      np.testing.assert_allclose(
        got[name], expected[name], rtol=1e-5, err_msg=name
      )
  jax.tree.map(
    lambda expected, got: np.testing.assert_allclose(got, expected, atol=1e-5),
    left.params,
    right.params,
  )


@pytest.mark.parametrize(
  ("name", "rate"),
  [
    ("data", 0.0),
    ("zero1 and all", 0.2),
    ("zero1", 0.0),
    pytest.param("all", 0.2, marks=pytest.mark.full),
    pytest.param("zero1", 0.2, marks=pytest.mark.full),
    pytest.param("fsdp", 0.2, marks=pytest.mark.full),
    pytest.param("tensor", 0.2, marks=pytest.mark.full),
    pytest.param("all", 0.0, marks=pytest.mark.full),
    pytest.param("fsdp", 0.0, marks=pytest.mark.full),
  ],
)
def test_a_mesh_changes_no_loss_and_no_parameter(alone, name, rate, capfd):
  got = train(MESHES[name], rate=rate)
  # What the partitioner says where it gives every device the whole batch.
  assert "full rematerialization" not in capfd.readouterr().err
  check_same(alone(rate), got)
  # Gradients are compared through their norm and through Adam's first steps,
  # which are the gradient's direction whatever its size.
  assert got.metrics[0]["grad_norm"][0] > 0
  assert got.traces == 1


@pytest.mark.parametrize("name", ["lamb", "muon"])
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


def test_micro_batches_equal_the_large_batch(alone):
  """Also where their mask counts differ: law 4."""
  batch = next(tiny.batches(0))
  masked = tiny.task().prepare({k: jnp.asarray(v) for k, v in batch.items()})
  counts = np.asarray(masked["masked"].weights_BP).sum(axis=1)
  assert len({counts[part::4].sum() for part in range(4)}) > 1
  for rate in (0.0, 0.2):  # what dropout hits goes by the row
    got = train(
      MeshConfig(data=1),
      rate=rate,
      accumulation=4,
      devices=jax.devices()[:1],
    )
    check_same(alone(rate), got)
    assert got.traces == 1


def collectives(program):
  """(kind, whether in a loop) of each collective of an optimised program."""
  bodies = set(re.findall(r"body=%?([\w.-]+)", program))
  found, inside = [], ""
  for line in program.splitlines():
    if line.endswith("{") and not line.startswith(" "):
      inside = line.removeprefix("ENTRY ").lstrip("%").split()[0]
    kind = re.search(
      r" (all-reduce|reduce-scatter|all-gather)(-start)?\(", line
    )
    if kind:
      found.append((kind[1], inside in bodies))
  return found


@pytest.mark.parametrize("name", ["data", "zero1"])
def test_gradients_of_all_micro_batches_and_layers_are_reduced_once(
  alone, name
):
  got = train(MESHES[name], accumulation=2)
  check_same(alone(0.0), got)
  kinds = collectives(got.program)
  assert "while" in got.program
  assert kinds
  assert not any(looped for _, looped in kinds), "nothing travels in a loop"
  scatters = [kind for kind, _ in kinds if kind == "reduce-scatter"]
  gathers = [kind for kind, _ in kinds if kind == "all-gather"]
  leaves = len(jax.tree.leaves(got.params))
  if name == "data":
    assert not scatters
    assert not gathers
  else:
    assert 0 < len(scatters) <= leaves
    assert 0 < len(gathers) <= leaves


def test_zero1_leaves_a_piece_of_every_matrix_and_slot_on_a_device():
  mesh = make_mesh(MESHES["zero1"])
  optimizer = optim.make_optimizer(
    OPTIMIZER, optim.make_schedule(OPTIMIZER, STEPS)
  )
  abstract = state.abstract_state(tiny.init_params, optimizer, mesh, zero1=True)
  assert sharding.replicated_share(abstract.params) < 0.01
  assert (
    sharding.replicated_share(
      state.abstract_state(tiny.init_params, optimizer, mesh).params
    )
    == 1.0
  )
  for tree in (abstract.params, abstract.opt_state):
    for leaf in jax.tree.leaves(tree):
      if leaf.ndim > 1 and max(leaf.shape) >= 8:
        shard = leaf.sharding.shard_shape(leaf.shape)
        assert np.prod(shard) * 8 == leaf.size, leaf


def test_a_pair_loss_of_weight_zero_moves_neither_pooler_nor_head():
  objective = ObjectiveConfig(next_sentence_weight=0.0)
  task = tiny.task(objective=objective)
  assert task.coefficients == {"mlm_loss": 1.0}


@pytest.mark.parametrize("generator", ["threefry", "rbg"])
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


@pytest.fixture(scope="module")
def sharded():
  """A fresh state on the mesh of all axes, and the program that made it."""
  mesh = make_mesh(MESHES["all"])
  optimizer = optim.make_optimizer(
    OPTIMIZER, optim.make_schedule(OPTIMIZER, STEPS)
  )
  create: Any = state.make_initializer(tiny.init_params, optimizer, mesh)
  program = create.lower(0).compile()
  return program(0), program.as_text()


def named(tree):
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): leaf
    for path, leaf in jax.tree.leaves_with_path(tree)
  }


def test_no_matrix_is_ever_whole_on_a_device(sharded):
  made, program = sharded
  matrices = [leaf for leaf in jax.tree.leaves(made.params) if leaf.ndim > 1]
  parts = {leaf.addressable_shards[0].data.shape for leaf in matrices}
  whole = {leaf.shape for leaf in matrices}
  for leaf in matrices:
    assert leaf.addressable_shards[0].data.size < leaf.size
  # Nor while it is made: the program has no array of a full shape, but for
  # shapes that are also the part of something larger.
  assert len(whole - parts) > 5
  for shape in whole - parts:
    assert f"f32[{','.join(map(str, shape))}]" not in program, shape
  kernel = made.params["encoder"]["layers"]["mlp_up"]["kernel"]
  assert kernel.sharding.spec == PartitionSpec(None, "fsdp", "tensor")


def test_slots_lie_where_their_parameters_lie(sharded):
  made, _ = sharded
  slots = named(made.opt_state)
  for name, leaf in named(made.params).items():
    mine = [slots[slot] for slot in slots if slot.endswith("/" + name)]
    assert len(mine) == 2, name  # the two moments of Adam
    assert all(slot.sharding == leaf.sharding for slot in mine)


def test_fresh_parameters_are_the_same_on_any_mesh(sharded):
  made, _ = sharded
  mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
  alone = state.make_state(
    tiny.init_params,
    optim.make_optimizer(OPTIMIZER, optim.make_schedule(OPTIMIZER, STEPS)),
    mesh,
    seed=0,
  )
  jax.tree.map(
    lambda left, right: np.testing.assert_allclose(left, right, atol=1e-8),
    jax.device_get(alone.params),
    jax.device_get(made.params),
  )
