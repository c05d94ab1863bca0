# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of one device against sizes worked out by hand."""

import math

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from bertjax.config import MeshConfig
from bertjax.parallel.mesh import make_mesh
from bertjax.plan import compiling, memory
from bertjax.plan.hardware.topologies import find
from bertjax.train.state import TrainState

V5E = find("v5e:2x4")


def test_memory_is_split_by_kind():
  mesh = make_mesh(MeshConfig())
  cut = NamedSharding(mesh, PartitionSpec("data"))
  leaf = jax.ShapeDtypeStruct((16, 4), jnp.float32, sharding=cut)
  state = TrainState(step=0, params={"a": leaf}, opt_state=[leaf, leaf])
  given = compiling.CompilerMemory(arguments=150, temporaries=1000, peak=900)
  executable = compiling.Executable(1.0, given)
  found = memory.describe(state, {"b": leaf}, executable, V5E)
  # Two rows of four numbers of four bytes on each of eight devices.
  assert found.by_kind == {
    "parameters": 32,
    "optimizer": 64,
    "batch": 32,
    "temporaries": 750,  # 1000 in all, not all of them alive at the peak
    "padding": 22,
  }
  assert sum(found.by_kind.values()) == found.needed
  assert (found.fits, found.needed, found.peak) == (True, 900, 900)
  out = compiling.Executable(1.0, None, needed=5000.0)
  found = memory.describe(state, {"b": leaf}, out, V5E)
  assert (found.fits, found.needed) == (False, 5128)
  unknown = compiling.Executable(1.0, None, needed=math.inf)
  assert memory.describe(state, {}, unknown, V5E).needed is None


def test_evaluation_needs_the_optimizer_state_beside_its_own_memory():
  mesh = make_mesh(MeshConfig())
  cut = NamedSharding(mesh, PartitionSpec("data"))
  leaf = jax.ShapeDtypeStruct((16, 4), jnp.float32, sharding=cut)
  state = TrainState(step=0, params={"a": leaf}, opt_state=[leaf, leaf])

  def describe(temporaries):
    given = compiling.CompilerMemory(64, temporaries, None)
    executable = compiling.Executable(1.0, given)
    return memory.describe_evaluation(state, {"b": leaf}, executable, V5E)

  found = describe(1000)
  assert found.by_kind["optimizer"] == 64
  assert (found.fits, found.needed) == (True, 32 + 64 + 32 + 1000)
  # The compiler of the step knows nothing of what else is in memory.
  assert not describe(V5E.chip.usable_hbm - 100).fits
