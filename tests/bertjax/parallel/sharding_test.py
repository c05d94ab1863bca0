# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The mesh, what lies where, and keys that depend on nothing else."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, PartitionSpec

from bertjax.config import MeshConfig
from bertjax.parallel import sharding
from bertjax.train import flops, rng
from tests.testing import tiny


@pytest.fixture(scope="module")
def mesh():
  return sharding.make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))


def boxed(shape, *axes):
  leaf = jax.ShapeDtypeStruct(shape, jnp.float32)
  return {"leaf": nn.LogicallyPartitioned(leaf, axes)}


@pytest.mark.parametrize(
  ("shape", "axes", "spec"),
  [
    ((64, 32), ("vocab", "embed"), ("tensor", "fsdp")),
    (
      (2, 32, 4, 8),
      ("layers", "embed", "heads", "kv"),
      (None, "fsdp", "tensor", None),
    ),
    ((2, 64, 32), ("layers", "mlp", "embed"), (None, "tensor", "fsdp")),
    ((32,), ("embed",), ("fsdp",)),
    ((32, 32), ("embed", None), ("fsdp", None)),
  ],
)
def test_the_table_places_every_kind_of_parameter(mesh, shape, axes, spec):
  got = sharding.param_shardings(boxed(shape, *axes), mesh)
  assert got["leaf"].spec == PartitionSpec(*spec)


@pytest.mark.parametrize(("size", "axis"), [(992, -1), (1008, 0)])
def test_zero1_cuts_what_is_a_thousandth_of_the_parameters(size, axis):
  """What is smaller is not worth a collective of its own."""
  mesh = sharding.make_mesh(MeshConfig(data=8, zero1=True))
  tree = {**boxed((size,), None), "rest": boxed((10**6 - size,), None)["leaf"]}
  placed = sharding.param_shardings(tree, mesh, zero1=True)
  assert sharding.data_axis(placed["leaf"]) == axis
  assert sharding.data_axis(placed["rest"]) == 0


def test_every_axis_that_the_model_names_is_in_the_table():
  tree = jax.eval_shape(tiny.init_params, jax.random.key(0))
  is_box = lambda leaf: isinstance(leaf, nn.LogicallyPartitioned)
  names = {
    name
    for box in jax.tree.leaves(tree, is_leaf=is_box)
    for name in box.names
    if name is not None
  }
  assert names <= {name for name, _ in sharding.LOGICAL_AXES}
  assert {"vocab", "embed", "heads", "mlp", "layers"} <= names


def test_no_array_gives_one_mesh_axis_to_two_of_its_axes(mesh):
  tree = jax.eval_shape(tiny.init_params, jax.random.key(0))
  for placed in jax.tree.leaves(sharding.param_shardings(tree, mesh)):
    used = [
      axis
      for part in placed.spec
      for axis in ((part,) if isinstance(part, str) else part or ())
    ]
    assert len(used) == len(set(used))


def test_an_axis_that_does_not_divide_names_the_parameter(mesh):
  with pytest.raises(ValueError, match=r"tensor=2 .* the 7 of parameter leaf"):
    sharding.param_shardings(boxed((7, 32), "vocab", "embed"), mesh)


def test_a_name_that_the_table_lacks_is_refused(mesh):
  with pytest.raises(ValueError, match=r"'width' of parameter leaf is not in"):
    sharding.param_shardings(boxed((8, 8), "embed", "width"), mesh)


def test_a_parameter_without_names_is_refused(mesh):
  """It would be whole on every device without a word."""
  bare = {"leaf": jax.ShapeDtypeStruct((8, 8), jnp.float32)}
  with pytest.raises(ValueError, match=r"leaf has 2 axes and the names \(\)"):
    sharding.param_shardings(bare, mesh)


def test_two_axes_on_one_mesh_axis_are_refused(mesh):
  """The second would be left whole without a word."""
  with pytest.raises(ValueError, match=r"\('heads', 'mlp'\).* tensor, tensor"):
    sharding.param_shardings(boxed((8, 8), "heads", "mlp"), mesh)


def test_slots_are_found_through_masks_and_chains(mesh):
  optimizer = optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.masked(optax.trace(0.9), {"a": True, "b": False}),
  )
  params = {"a": jnp.zeros((4, 2)), "b": jnp.zeros(4)}
  places = {
    "a": jax.sharding.NamedSharding(mesh, PartitionSpec("fsdp", "tensor")),
    "b": sharding.replicated(mesh),
  }
  state = jax.eval_shape(optimizer.init, params)
  got = sharding.optimizer_shardings(state, params, places, mesh)
  assert jax.tree.leaves(got) == [places["a"]]


def test_only_data_crosses_from_slice_to_slice():
  """Devices 0 to 3 are one slice and 4 to 7 the other."""
  config = MeshConfig(data=4, fsdp=1, tensor=2, slices=2)
  mesh = sharding.make_mesh(config)
  ids = np.vectorize(lambda device: device.id)(mesh.devices)
  assert mesh.devices.shape == (4, 1, 2)
  np.testing.assert_array_equal(
    ids // 4, [[[0, 0]], [[0, 0]], [[1, 1]], [[1, 1]]]
  )


def test_devices_that_know_their_slice_are_followed(monkeypatch):
  """In whatever order they come; a mesh of two slices cannot split one."""

  class Device:
    platform, device_kind, process_index = "cpu", "cpu", 0

    def __init__(self, number):
      self.id, self.slice_index = number, number % 2

  devices = [Device(number) for number in range(8)]
  monkeypatch.setattr(sharding, "Mesh", lambda array, *_, **__: array)
  array = sharding.make_mesh(MeshConfig(data=-1, tensor=2), devices)
  slices = np.vectorize(lambda device: device.slice_index)(array)
  assert array.shape == (4, 1, 2)
  np.testing.assert_array_equal(slices[:, 0, 0], [0, 0, 1, 1])
  np.testing.assert_array_equal(slices[..., 0], slices[..., 1])
  with pytest.raises(ValueError, match=r"mesh.data=1 cannot cross 2 slices"):
    sharding.make_mesh(MeshConfig(data=1, tensor=-1), devices)
  with pytest.raises(ValueError, match=r"mesh.slices=4.* are of 2; give 0"):
    sharding.make_mesh(MeshConfig(slices=4), devices)
  passed_over = sharding.make_mesh(
    MeshConfig(data=1, fsdp=8, slices=1), devices
  )
  assert passed_over.shape == (1, 8, 1)


def test_axes_are_auto(mesh):
  assert mesh.axis_types == (AxisType.Auto,) * 3
  assert mesh.axis_names == ("data", "fsdp", "tensor")


def test_a_batch_is_cut_along_its_rows(mesh):
  batch = tiny.batch(0)
  placed = sharding.put_batch(batch, mesh)
  assert sharding.batch_shards(mesh) == 4
  assert sharding.local_rows(mesh, tiny.ROWS) == slice(0, tiny.ROWS)
  for name, array in placed.items():
    np.testing.assert_array_equal(array, batch[name])
    assert array.addressable_shards[0].data.shape[0] == tiny.ROWS // 4


def test_counts_are_of_real_tokens_only():
  batch = tiny.batch(0)
  lengths = np.array(
    [[(row == pack).sum() for pack in (1, 2)] for row in batch["packs_BS"]]
  )
  got = flops.count({name: jnp.asarray(batch[name]) for name in batch})
  assert float(got["tokens"]) == lengths.sum()
  assert float(got["attended"]) == (lengths**2).sum()
  assert float(got["examples"]) == (lengths > 0).sum()


def bits(*arguments, **settings):
  key = rng.stream(*arguments, **settings)
  return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_a_key_is_a_pure_function_of_seed_name_and_step():
  assert bits(0, "dropout", 3) == bits(0, "dropout", 3)
  keys = {
    bits(seed, name, step)
    for seed in range(3)
    for name in ("dropout", "params", "evaluation")
    for step in range(4)
  }
  assert len(keys) == 36
  traced = jax.jit(lambda seed, step: rng.stream(seed, "dropout", step))(0, 3)
  assert tuple(jax.random.key_data(traced).tolist()) == bits(0, "dropout", 3)
  # Fixed for good: a checkpoint of today goes on tomorrow.
  assert bits(0, "dropout", 3) == (513073791, 4132922701)


def test_other_generators_and_no_others():
  assert len(bits(0, "dropout", 3, implementation="rbg")) == 4
  with pytest.raises(ValueError, match="'philox'"):
    rng.stream(0, "dropout", 3, implementation="philox")
