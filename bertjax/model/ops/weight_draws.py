# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The draws that drop attention weights, made where a kernel needs them.

Each row and head has a Threefry key of its own. A block of Threefry has four
draws of 16 bits, or eight of 8. They go to as many keys of one query, 32 or 16
apart, in a group of 128 keys. A tile of keys × queries then spends one block on
four or eight pairs and moves nothing between lanes, and a draw depends on its
row, head, key and query alone: not on tiles, nor on the length of the row, nor
on the mesh.

All is in plain integer operations, so that the same draws can be made outside
of a kernel and on any platform, which a chip's own generator does not allow.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bertjax.model.ops.random_bits import threefry_words

Array = jax.Array


class WeightDropout(NamedTuple):
  """Dropout of attention weights, under draws of this module.

  Attributes:
    seeds_BH2: of `make_seeds`.
    rate: share of the attention weights that is dropped: `given_rate` of the
      draws.
    draws: as in `ComputeConfig.dropout_draws`.
  """

  seeds_BH2: Array
  rate: float
  draws: str = "uint16"


# Keys that share blocks; a tile has a multiple of it.
GROUP = 128
# The fewest rounds for which Random123 publishes test vectors. The 20 of
# `jax.random` have a margin that dropout does not need, and a kernel spends
# its time here: 5 integer operations a round and block.
ROUNDS = 13


def make_seeds(key: Array, rows_B: Array, num_heads: int) -> Array:
  """Return `seeds_BH2`, uint32: the Threefry key of each row and head.

  Args:
    key: one key of any of JAX's generators.
    rows_B: uint32, each row's number in the global batch.
    num_heads: number of heads, those of all devices.
  """
  # The other words of an rbg key repeat the first two.
  data = jax.random.key_data(key)
  shape = (rows_B.size, num_heads)
  heads_BH = jax.lax.broadcasted_iota(jnp.uint32, shape, 1)
  rows_BH = jnp.broadcast_to(rows_B[:, None], shape)
  return jnp.stack(
    threefry_words((data[0], data[1]), (rows_BH, heads_BH)), axis=-1
  )


def draw_tile(
  seed: tuple[Array, Array],
  first: tuple[int | Array, int | Array],
  shape: tuple[int, int],
  dtype: str = "uint16",
) -> Array:
  """Return the draws of one row and head, `draws_TS`, int32.

  Args:
    seed: two uint32 scalars, of `make_seeds`.
    first: number of the first key, a multiple of 128, and of the first query.
    shape: number of keys, a multiple of 128, and of queries.
    dtype: uint16 or uint8, which says how large the draws are.
  """
  parts = draw_parts(seed, first, shape, dtype)
  rows = GROUP // len(parts)
  return jnp.concatenate(
    [
      part[start : start + rows]
      for start in range(0, shape[0] // len(parts), rows)
      for part in parts
    ]
  )


def draw_parts(
  seed: tuple[Array, Array],
  first: tuple[int | Array, int | Array],
  shape: tuple[int, int],
  dtype: str,
  *,
  keys_axis: int = 0,
) -> list[Array]:
  """Return the draws of a tile apart: one array for each draw of a block.

  In a group of 128 keys, an array has the draws of neighbors: the first array
  those of the first keys.

  Args:
    seed: as of `draw_tile`.
    first: as of `draw_tile`.
    shape: as of `draw_tile`.
    dtype: as of `draw_tile`.
    keys_axis: axis of the keys in the arrays; queries are along the other.
  """
  keys, queries = shape
  draws = draws_of_block(dtype)
  bits = 64 // draws
  blocks = (keys // draws, queries)
  iota = lambda axis: jax.lax.broadcasted_iota(
    jnp.int32, blocks if keys_axis == 0 else blocks[::-1], axis
  )
  # A shift, because a kernel has no division that rounds down.
  count = (
    iota(keys_axis) + (first[0] >> (draws.bit_length() - 1)),
    iota(1 - keys_axis) + first[1],
  )
  words = threefry_words(
    seed, (count[0].astype(jnp.uint32), count[1].astype(jnp.uint32)), ROUNDS
  )
  return [
    _cut_bits(jax.lax.bitcast_convert_type(word, jnp.int32), shift, bits)
    for word in words
    for shift in range(0, 32, bits)
  ]


def draws_of_block(dtype: str) -> int:
  """Return how many draws of a dtype a block of Threefry has."""
  return 8 // jnp.dtype(dtype).itemsize


def _cut_bits(word: Array, shift: int, count: int) -> Array:
  """Return `count` bits of each word, from bit `shift` on."""
  if shift:
    word = jax.lax.shift_right_logical(word, jnp.full_like(word, shift))
  return word & jnp.int32(2**count - 1) if shift + count < 32 else word


def drop_tile(
  seed: tuple[Array, Array],
  first: tuple[int | Array, int | Array],
  shape: tuple[int, int],
  rate: float,
  dtype: str,
) -> Array:
  """Return whether each pair of a tile is dropped; see `draw_tile`."""
  return draw_tile(seed, first, shape, dtype) < _first_kept(rate, dtype)


def drop_parts(
  seed: tuple[Array, Array],
  first: tuple[int | Array, int | Array],
  shape: tuple[int, int],
  rule: tuple[float, str],
  *,
  keys_axis: int,
) -> list[Array]:
  """Return whether each pair is dropped, by part; see `draw_parts`.

  Args:
    seed: as of `draw_parts`.
    first: as of `draw_parts`.
    shape: as of `draw_parts`.
    rule: share of the pairs that is dropped, and dtype of the draws.
    keys_axis: as of `draw_parts`.
  """
  rate, dtype = rule
  parts = draw_parts(seed, first, shape, dtype, keys_axis=keys_axis)
  return [part < _first_kept(rate, dtype) for part in parts]


def _first_kept(rate: float, dtype: str) -> int:
  return round(rate * 2 ** (8 * jnp.dtype(dtype).itemsize))


def draw_all(seeds_BH2: Array, length: int, dtype: str = "uint16") -> Array:
  """Return all draws, `bits_BHTS`: what `dot_product.attend` takes."""
  groups = -(-length // GROUP)

  def one(seed_2: Array) -> Array:
    seed = (seed_2[0], seed_2[1])
    draws_TS = draw_tile(seed, (0, 0), (groups * GROUP, length), dtype)
    return draws_TS[:length].astype(dtype)

  return jax.vmap(jax.vmap(one))(seeds_BH2)
