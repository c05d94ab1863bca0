# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of one device during a step, by kind."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from bertjax.plan.compiling import Executable
from bertjax.plan.hardware.topologies import Topology
from bertjax.plan.results import MemoryUse
from bertjax.train.memory import shard_bytes
from bertjax.train.state import TrainState

# `optimizer` is the optimizer state. `temporaries` are those that are alive at
# the peak. `padding` is what the arrays of state and batch take beyond their
# elements, because memory is laid out in tiles. The kinds add up to what a step
# needs.
KINDS = ("parameters", "optimizer", "batch", "temporaries", "padding")


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
    padding = max(compiled.arguments - arguments, 0)
    held = arguments + padding
    # Not all temporaries are alive at once: the peak has those that are. In
    # small programs the compiler's peak covers more than these kinds.
    alive = min(compiled.temporaries, (compiled.peak or math.inf) - held)
    by_kind = {
      **known,
      "temporaries": max(round(alive), 0),
      "padding": padding,
    }
    return MemoryUse(True, limit, sum(by_kind.values()), compiled.peak, by_kind)
  if executable.needed is None or math.isinf(executable.needed):
    return MemoryUse(False, limit, None, None, known)
  by_kind = {**known, "temporaries": round(executable.needed)}
  return MemoryUse(False, limit, sum(by_kind.values()), None, by_kind)


def describe_evaluation(
  state: TrainState,
  batch: Mapping[str, Any],
  executable: Executable,
  topology: Topology,
) -> MemoryUse:
  """Return the memory that a step of evaluation needs on one JAX device.

  The optimizer state, which it does not read, stays where it is meanwhile.

  Args:
    state: abstract state of training, with shardings.
    batch: abstract batch of evaluation, with shardings.
    executable: the compiled step of evaluation.
    topology: the chips that it was compiled for.
  """
  read = dataclasses.replace(state, opt_state=())
  use = describe(read, batch, executable, topology)
  by_kind = {**use.by_kind, "optimizer": shard_bytes(state.opt_state)}
  if use.needed is None:
    return dataclasses.replace(use, by_kind=by_kind)
  needed = sum(by_kind.values())
  return MemoryUse(
    use.fits and needed <= use.limit, use.limit, needed, use.peak, by_kind
  )
