# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which shards of parameters and optimizer state lie where."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import PartitionSpec

from bertjax.config import MeshConfig
from bertjax.parallel import sharding
from bertjax.parallel.mesh import make_mesh
from tests.testing import tiny


@pytest.fixture(scope="module")
def mesh():
  return make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))


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
  mesh = make_mesh(MeshConfig(data=8, zero1=True))
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
  with pytest.raises(
    ValueError, match=r"tensor=2 .*dimension 7 of parameter leaf"
  ):
    sharding.param_shardings(boxed((7, 32), "vocab", "embed"), mesh)


def test_a_name_that_the_table_lacks_is_refused(mesh):
  with pytest.raises(ValueError, match=r"'width' of parameter leaf is not in"):
    sharding.param_shardings(boxed((8, 8), "embed", "width"), mesh)


def test_a_parameter_without_names_is_refused(mesh):
  """It would be whole on every device without a word."""
  bare = {"leaf": jax.ShapeDtypeStruct((8, 8), jnp.float32)}
  with pytest.raises(
    ValueError, match=r"leaf has 2 axes and the logical axes \(\)"
  ):
    sharding.param_shardings(bare, mesh)


def test_two_axes_on_one_mesh_axis_are_refused(mesh):
  """The second would be left whole without a word."""
  with pytest.raises(ValueError, match=r"\('heads', 'mlp'\).* tensor, tensor"):
    sharding.param_shardings(boxed((8, 8), "heads", "mlp"), mesh)


def test_optimizer_state_is_found_through_masks_and_chains(mesh):
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
