# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The state is created sharded, and equal on any mesh."""

from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from bertjax import optim
from bertjax.config import MeshConfig
from bertjax.parallel import sharding
from bertjax.parallel.mesh import make_mesh
from bertjax.train import state
from tests.testing import tiny
from tests.testing.training import MESHES, OPTIMIZER, STEPS


def test_zero1_shards_every_matrix_and_its_optimizer_state():
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


def test_optimizer_state_is_sharded_like_its_parameters(sharded):
  made, _ = sharded
  moments = named(made.opt_state)
  for name, leaf in named(made.params).items():
    mine = [moments[key] for key in moments if key.endswith("/" + name)]
    assert len(mine) == 2, name  # the two moments of Adam
    assert all(moment.sharding == leaf.sharding for moment in mine)


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
