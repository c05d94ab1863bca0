# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A forward kernel for GPUs that drops attention weights: an experiment.

It draws as `bertjax.model.ops.weight_draws` does, so that it is exact against
the plain path under the same draws. It has no backward pass and no windows, and
no config takes it: it shows that Pallas's Triton lowers such a kernel, and a
card says what the draws cost.

Triton joins no more than two arrays, so that a group of 128 keys is worked on
in its four parts of 32, one for each draw of a block. They share its rounds.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu

from bertjax.model.ops.dot_product import OUTSIDE
from bertjax.model.ops.random_bits import kept_scale, threefry_words
from bertjax.model.ops.weight_draws import GROUP, ROUNDS, WeightDropout

Array = jax.Array
_DRAWS = 4  # of 16 bits in a block
_PART = GROUP // _DRAWS
_QUERIES = 64


def attend(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  dropout: WeightDropout,
  *,
  interpret: bool = False,
) -> Array:
  """Return `context_BSHK` of `dot_product.attend` under draws of uint16.

  Args:
    query_BSHK: already scaled; S is a multiple of 128, and K a power of 2.
    key_BTHK: keys, in the dtype of the query.
    value_BTHK: values, in the dtype of the query.
    packs_BS: number of the packed example, 0 for padding.
    dropout: seeds and rate.
    interpret: run in Pallas's interpreter, on any platform.

  Raises:
    ValueError: S is no multiple of 128, and the last keys would be left out.
  """
  rows, length, heads, width = query_BSHK.shape
  if length % GROUP:
    raise ValueError(
      f"rows of {length} positions; give a multiple of {GROUP}, the keys that "
      "share draws"
    )
  of_head = pl.BlockSpec(
    (None, length, None, width), lambda i, b, h: (b, 0, h, 0)
  )
  of_tile = pl.BlockSpec(
    (None, _QUERIES, None, width), lambda i, b, h: (b, i, h, 0)
  )
  return pl.pallas_call(
    functools.partial(_kernel, rate=dropout.rate),
    grid=(length // _QUERIES, rows, heads),
    in_specs=[
      of_tile,
      of_head,
      of_head,
      pl.BlockSpec((None, length), lambda i, b, h: (b, 0)),
      pl.BlockSpec((None, None, 2), lambda i, b, h: (b, h, 0)),
    ],
    out_specs=of_tile,
    out_shape=jax.ShapeDtypeStruct(query_BSHK.shape, query_BSHK.dtype),
    compiler_params=plgpu.CompilerParams(num_warps=4, num_stages=2),
    interpret=interpret,
    name="attend_with_dropout",
  )(query_BSHK, key_BTHK, value_BTHK, packs_BS, dropout.seeds_BH2)


def _kernel(
  query_SK: Any,
  key_TK: Any,
  value_TK: Any,
  packs_T: Any,
  seeds_2: Any,
  context_SK: Any,
  *,
  rate: float,
) -> None:
  """One tile of queries."""
  queries, width = query_SK.shape
  first = pl.program_id(0) * queries
  query = query_SK[...]
  packs_S = packs_T[pl.ds(first, queries)]
  seed = seeds_2[0], seeds_2[1]

  def of_group(group: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
    words = _draw(seed, group * _PART, first, queries)
    for part in range(_DRAWS):
      word, shift = words[part // 2], 16 * (part % 2)
      draws_SP = (word >> jnp.uint32(shift)) & jnp.uint32(0xFFFF)
      keys = pl.ds(group * GROUP + part * _PART, _PART)
      scores_SP = plgpu.dot(query, key_TK[keys, :].T)
      inside_SP = packs_S[:, None] == packs_T[keys][None, :]
      carry = _add(
        carry,
        jnp.where(inside_SP, scores_SP, OUTSIDE),
        draws_SP < jnp.uint32(round(rate * 2**16)),
        value_TK[keys, :],
      )
    return carry

  largest_S, sum_S, total_SK = jax.lax.fori_loop(
    0,
    key_TK.shape[0] // GROUP,
    of_group,
    (
      jnp.full((queries,), OUTSIDE, jnp.float32),
      jnp.zeros((queries,), jnp.float32),
      jnp.zeros((queries, width), jnp.float32),
    ),
  )
  del largest_S
  total_SK = total_SK * (kept_scale(rate) / sum_S)[:, None]
  context_SK[...] = total_SK.astype(context_SK.dtype)


def _draw(
  seed: tuple[Array, Array], block: Array, query: Array, queries: int
) -> tuple[Array, Array]:
  """Return both words of the blocks of a group, [queries, keys of a part]."""
  iota = lambda axis: jax.lax.broadcasted_iota(
    jnp.int32, (queries, _PART), axis
  )
  blocks_SP, queries_SP = iota(1) + block, iota(0) + query
  return threefry_words(
    seed,
    (blocks_SP.astype(jnp.uint32), queries_SP.astype(jnp.uint32)),
    ROUNDS,
  )


def _add(
  carry: tuple[Array, ...], scores_SP: Array, dropped_SP: Array, value_PK: Array
) -> tuple[Array, ...]:
  """Add keys to an online softmax (Dao et al., 2022, algorithm 1)."""
  largest_S, sum_S, total_SK = carry
  next_S = jnp.maximum(largest_S, jnp.max(scores_SP, axis=1))
  weights_SP = jnp.exp(scores_SP - next_S[:, None])
  shrink_S = jnp.exp(largest_S - next_S)
  sum_S = sum_S * shrink_S + jnp.sum(weights_SP, axis=1)
  kept_SP = jnp.where(dropped_SP, 0.0, weights_SP).astype(value_PK.dtype)
  total_SK = total_SK * shrink_S[:, None] + plgpu.dot(kept_SP, value_PK)
  return next_S, sum_S, total_SK
