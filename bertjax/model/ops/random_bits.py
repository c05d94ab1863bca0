# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The random bits of dropout: four draws from every Threefry block, or eight.

Draws of 8 bits are half of the work and, where they go through memory, half of
the traffic. They give a rate in parts of 256 only: `config.model.given_rate`.

`jax.random.bits` spends a whole 64-bit block on each number, and lowers to a
loop on CPU. The blocks here are those of `jax.extend.random.threefry_2x32`,
counted by row of the global batch and by index in the row. The draw of an
element therefore does not depend on how the batch is sharded or cut into
micro-batches.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.config.model import given_rate

Array = jax.Array
# Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def threefry(key: tuple[Array, Array], count: tuple[Array, Array]) -> Array:
  """Return both uint32 words of Threefry-2x32-20 along a new first axis.

  Args:
    key: two uint32 arrays.
    count: two uint32 arrays that broadcast with the key's.
  """
  return jnp.stack(threefry_words(key, count))


def threefry_words(
  key: tuple[Array, Array], count: tuple[Array, Array], rounds: int = 20
) -> tuple[Array, Array]:
  """Return both words like `threefry`, each in an array of its own."""
  schedule = (key[0], key[1], key[0] ^ key[1] ^ _PARITY)
  left, right = count[0] + schedule[0], count[1] + schedule[1]
  for done in range(rounds):
    group, place = divmod(done, 4)
    rotation = _ROTATIONS[group % 2][place]
    left = left + right
    right = (right << rotation) | (right >> (32 - rotation))
    right = right ^ left
    if place == 3:
      left = left + schedule[(group + 1) % 3]
      right = right + schedule[(group + 2) % 3] + np.uint32(group + 1)
  return left, right


def row_numbers(features: Mapping[str, Array]) -> Array:
  """Return `rows_B`, uint32: the number of each row in the global batch.

  A step that sees only part of that batch adds `rows_B` to the features.
  """
  if "rows_B" in features:
    return features["rows_B"]
  return jnp.arange(features["tokens_BS"].shape[0], dtype=jnp.uint32)


def draw(
  key: Array, shape: tuple[int, ...], rows_B: Array, dtype: str = "uint16"
) -> Array:
  """Return uniform numbers of `shape`.

  Args:
    key: one key of any of JAX's generators.
    shape: the first axis is the rows.
    rows_B: uint32, each row's number in the global batch. Only threefry uses
      it; other generators draw by place in `shape`.
    dtype: uint16 or uint8, as in `ComputeConfig.dropout_draws`.
  """
  data = jax.random.key_data(key)
  if data.shape[-1] != 2:
    return jax.random.bits(key, shape, dtype)
  *lead, last = shape
  draws = 8 // jnp.dtype(dtype).itemsize  # of a block of 64 bits
  blocks = -(-last // draws)
  words = threefry((data[0], data[1]), _counters((*lead, blocks), rows_B))
  words = jnp.concatenate([words[0], words[1]], axis=-1)
  parts = jax.lax.bitcast_convert_type(words, jnp.dtype(dtype))
  return parts.reshape(*lead, draws * blocks)[..., :last]


def is_dropped(bits: Array, rate: float) -> Array:
  """Return bool: whether dropout of a rate drops the element of each draw.

  Args:
    bits: from `draw`.
    rate: `given_rate` of the draws; that of uint16 may be any rate.
  """
  return bits < round(rate * 2 ** (8 * bits.dtype.itemsize))


def kept_scale(rate: float) -> float:
  """Return the factor of the elements that dropout keeps.

  It is the inverse of the share that draws really keep, so that means are
  exact.

  Args:
    rate: `given_rate` of the draws; that of uint16 may be any rate.
  """
  return 1 / (1 - given_rate(rate, "uint16"))


def _counters(shape: tuple[int, ...], rows_B: Array) -> tuple[Array, Array]:
  """Return (row number, index in the row) of every element of `shape`."""
  iota = lambda axis: jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
  inner = jnp.zeros(shape, jnp.uint32)
  for axis in range(1, len(shape)):
    inner = inner + iota(axis) * np.uint32(math.prod(shape[axis + 1 :]))
  row = rows_B.reshape(rows_B.shape + (1,) * (len(shape) - 1))
  return jnp.broadcast_to(row, shape), inner
