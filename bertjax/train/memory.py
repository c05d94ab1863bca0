# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The memory of a device, and what a step needs of it."""

import math
import re
from typing import Any

import jax
from jax.sharding import Mesh

_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# "Used 26.92G of 15.75G hbm", "memory required for HLO temporaries (30.88G)".
_USED = re.compile(
  r"(?:Used |memory required for HLO temporaries \()([\d.]+)([KMGT]?)"
)


def device_bytes(mesh: Mesh) -> int | None:
  """Return the bytes of a device of this process; None if it does not know."""
  # Only the process that has a device can ask it.
  stats = mesh.local_devices[0].memory_stats()
  return (stats or {}).get("bytes_limit")


def step_bytes(step: Any, *inputs: Any) -> float:
  """Compile a jitted step; return the bytes that it needs on one device.

  JAX keeps what it compiled with the jitted function, so that a call of `step`
  with such inputs does not compile it again.

  Args:
    step: result of `jax.jit`.
    *inputs: arrays, or their shapes, dtypes and shardings.
  """
  try:
    compiled = step.lower(*inputs).compile()
  except jax.errors.JaxRuntimeError as error:
    # The compilers of some devices refuse a step that does not fit.
    needed = find_needed(str(error))
    if needed is None or math.isinf(needed):
      raise
    return needed
  return float(planned_bytes(compiled))


def planned_bytes(compiled: Any) -> int:
  """Return the bytes that a compiled step needs on one device."""
  memory = compiled.memory_analysis()
  # Donated inputs are outputs, which count once.
  return int(
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes
  )


def shard_bytes(tree: Any) -> int:
  """Return the bytes of one device's shards of arrays with shardings."""
  return sum(
    math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
    for leaf in jax.tree.leaves(tree)
  )


def find_needed(message: str) -> float | None:
  """Return the bytes that a compiler out of memory says the step would use.

  None if the error is another one; infinity if the message has no number.
  """
  found = _USED.search(message)
  if found:
    return float(found[1]) * _UNITS[found[2]]
  text = message.lower()
  out = "resource_exhausted" in text or "out of memory" in text
  return float("inf") if out else None
