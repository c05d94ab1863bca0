# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Threefry bits, four 16-bit draws from every block.

JAX's own draws spend a whole 64-bit block on each number, and on CPU lower
to a loop; a dropout mask needs neither. The blocks are those of
`jax.extend.random.threefry_2x32`, and they are counted by row of the global
batch and by place in the row: what an element gets does not depend on how the
batch is sharded, nor on how it is cut into micro-batches.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
# Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def threefry(key: tuple[Array, Array], count: tuple[Array, Array]) -> Array:
  """Return both uint32 words of Threefry-2x32-20 along a new first axis.

  Args:
    key: two uint32 arrays.
    count: two uint32 arrays that broadcast with them.
  """
  schedule = (key[0], key[1], key[0] ^ key[1] ^ _PARITY)
  left, right = count[0] + schedule[0], count[1] + schedule[1]
  for group in range(5):
    for rotation in _ROTATIONS[group % 2]:
      left = left + right
      right = (right << rotation) | (right >> (32 - rotation))
      right = right ^ left
    left = left + schedule[(group + 1) % 3]
    right = right + schedule[(group + 2) % 3] + np.uint32(group + 1)
  return jnp.stack([left, right])


def row_numbers(features: Mapping[str, Array]) -> Array:
  """Return `rows_B`, uint32: where each row stands in the global batch.

  A step that sees only part of that batch hands them in as a feature.
  """
  if "rows_B" in features:
    return features["rows_B"]
  return jnp.arange(features["tokens_BS"].shape[0], dtype=jnp.uint32)


def bits16(key: Array, shape: tuple[int, ...], rows_B: Array) -> Array:
  """Return uint16 of `shape`, uniform.

  Args:
    key: one key of any generator.
    shape: its first axis is the rows.
    rows_B: uint32, the number of each row; other generators than threefry
      draw the same whatever it says.
  """
  data = jax.random.key_data(key)
  if data.shape[-1] != 2:
    return jax.random.bits(key, shape, jnp.uint16)
  *lead, last = shape
  blocks = -(-last // 4)
  words = threefry((data[0], data[1]), _counters((*lead, blocks), rows_B))
  words = jnp.concatenate([words[0], words[1]], axis=-1)
  halves = jax.lax.bitcast_convert_type(words, jnp.uint16)
  return halves.reshape(*lead, 4 * blocks)[..., :last]


def _counters(shape: tuple[int, ...], rows_B: Array) -> tuple[Array, Array]:
  """(number of the row, index within it), of `shape`."""
  iota = lambda axis: jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
  inner = jnp.zeros(shape, jnp.uint32)
  for axis in range(1, len(shape)):
    inner = inner + iota(axis) * np.uint32(math.prod(shape[axis + 1 :]))
  row = rows_B.reshape(rows_B.shape + (1,) * (len(shape) - 1))
  return jnp.broadcast_to(row, shape), inner
