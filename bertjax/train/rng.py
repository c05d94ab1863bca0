# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every random key is a pure function of (seed, name, step): law 1.

Nothing here is split or carried along, so no key lies in a checkpoint, and a
resumed run drops out the same units as one that was never stopped.
"""

import hashlib

import jax

from bertjax.config import ComputeConfig, choices

# What a config calls a generator, and what JAX calls it.
IMPLEMENTATIONS = {"threefry": "threefry2x32", "rbg": "rbg"}
assert set(IMPLEMENTATIONS) == set(choices(ComputeConfig, "dropout_rng"))


def stream(
  seed: int | jax.Array,
  name: str,
  step: int | jax.Array,
  *,
  implementation: str = "threefry",
) -> jax.Array:
  """Return the key of stream `name` at `step`.

  Args:
    seed: of the run; may be traced.
    name: of the use ("params", "dropout"); two names never share a key.
    step: of the run, or any other counter; may be traced.
    implementation: "threefry" (equal on any mesh and backend) or "rbg"
      (reproducible on the same mesh, backend and compiler only).
  """
  key = jax.random.key(seed, impl=IMPLEMENTATIONS[implementation])
  return jax.random.fold_in(jax.random.fold_in(key, _number(name)), step)


def _number(name: str) -> int:
  # Python's own hash() is salted by process.
  return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
