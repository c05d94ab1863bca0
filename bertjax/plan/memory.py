# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What lies in the memory of one device during a step, by kind."""

import math
from collections.abc import Mapping
from typing import Any

import jax

from bertjax.plan.compiling import Executable
from bertjax.plan.hardware.topologies import Topology
from bertjax.train.state import TrainState

KINDS = ("parameters", "optimizer", "batch", "temporaries", "padding")


def shard_bytes(tree: Any) -> int:
  """Return the bytes that one device holds of arrays with shardings."""
  return sum(
    math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
    for leaf in jax.tree.leaves(tree)
  )


def describe(
  state: TrainState,
  batch: Mapping[str, Any],
  executable: Executable,
  topology: Topology,
) -> dict[str, Any]:
  """Return the memory of one JAX device, in bytes.

  Returns:
    `fits` and `limit`; `needed`, None where the compiler does not say how much
    too large it is; `peak`, the compiler's own figure of what is alive at
    once, or None; and `by_kind` of KINDS, whose sum may be more than is needed,
    as not all temporaries are alive at once: padding is what arrays of state
    and batch take beyond their numbers, in tiles of memory.
  """
  known = {
    "parameters": shard_bytes(state.params),
    "optimizer": shard_bytes(state.opt_state),
    "batch": shard_bytes(batch),
  }
  arguments, found = sum(known.values()), executable.memory
  result: dict[str, Any] = {
    "fits": found is not None,
    "limit": round(topology.chip.usable_hbm),
    "peak": found.peak if found else None,
  }
  if found:
    by_kind = {
      **known,
      "temporaries": found.temporaries,
      "padding": max(found.arguments - arguments, 0),
    }
    together = sum(by_kind.values())
    # Of small programs the compiler's peak has more than these.
    together = min(together, found.peak or together)
    return {**result, "needed": together, "by_kind": by_kind}
  needed = executable.needed
  if needed is None or math.isinf(needed):
    return {**result, "needed": None, "by_kind": known}
  by_kind = {**known, "temporaries": round(needed)}
  return {**result, "needed": sum(by_kind.values()), "by_kind": by_kind}
