# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of one device during a step, by kind."""

import math
from collections.abc import Mapping
from typing import Any

import jax

from bertjax.plan.compiling import Executable
from bertjax.plan.hardware.topologies import Topology
from bertjax.plan.results import MemoryUse
from bertjax.train.state import TrainState

# `optimizer` is the optimizer state. `padding` is what the arrays of state and
# batch take beyond their elements, because memory is laid out in tiles.
KINDS = ("parameters", "optimizer", "batch", "temporaries", "padding")


def shard_bytes(tree: Any) -> int:
  """Return the bytes of one device's shards of arrays with shardings."""
  return sum(
    math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
    for leaf in jax.tree.leaves(tree)
  )


def describe(
  state: TrainState,
  batch: Mapping[str, Any],
  executable: Executable,
  topology: Topology,
) -> MemoryUse:
  """Return the memory that a step needs on one JAX device.

  Args:
    state: abstract state, with shardings.
    batch: abstract global batch, with shardings.
    executable: the compiled step.
    topology: the chips that it was compiled for.
  """
  limit = round(topology.chip.usable_hbm)
  known = {
    "parameters": shard_bytes(state.params),
    "optimizer": shard_bytes(state.opt_state),
    "batch": shard_bytes(batch),
  }
  arguments, compiled = sum(known.values()), executable.memory
  if compiled:
    by_kind = {
      **known,
      "temporaries": compiled.temporaries,
      "padding": max(compiled.arguments - arguments, 0),
    }
    needed = sum(by_kind.values())
    # In small programs the compiler's peak covers more than these kinds.
    needed = min(needed, compiled.peak or needed)
    return MemoryUse(True, limit, needed, compiled.peak, by_kind)
  if executable.needed is None or math.isinf(executable.needed):
    return MemoryUse(False, limit, None, None, known)
  by_kind = {**known, "temporaries": round(executable.needed)}
  return MemoryUse(False, limit, sum(by_kind.values()), None, by_kind)
