# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Random keys as a pure function of (seed, name, step).

No key is split or carried along: a checkpoint holds none, and a resumed run
drops out the same units as one that was never stopped (docs/design.md, law 1).
"""

import hashlib

import jax

from bertjax.config import ComputeConfig, choices

# Names of generators in a config, and in JAX.
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
    seed: seed of the run; may be traced.
    name: the use of the key ("params", "dropout"); two names never share a key.
    step: step of the run, or another counter; may be traced.
    implementation: "threefry" (equal on any mesh and backend) or "rbg"
      (reproducible on the same mesh, backend and compiler only).
  """
  key = jax.random.key(seed, impl=IMPLEMENTATIONS[implementation])
  return jax.random.fold_in(jax.random.fold_in(key, _number(name)), step)


def _number(name: str) -> int:
  # Python's hash() of a string differs from process to process.
  return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
