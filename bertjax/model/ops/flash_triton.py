# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Three Pallas kernels for GPUs: attention with dropout, and its gradients.

They do what those of `flash_kernels` do on TPUs, under the same draws, and
Triton compiles them. No GPU has run them: the tests run them in Pallas's
interpreter, and Triton has compiled them without a GPU.

One program works on one tile of queries, or, for the gradients of keys and
values, on one group of keys: no two programs add to the same number, so that
each sum has one order. A block of Threefry has the draws of several keys, and
Triton does not concatenate arrays. So a group is worked on in parts, one for
each draw of a block, and all parts share the rounds of the generator.

States are [B, S, H, K] as in the model: a program reads the rows of its head
where they stand, and nothing is transposed in memory.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from bertjax.model.ops.dot_product import OUTSIDE
from bertjax.model.ops.flash_inputs import Settings, Shared, States
from bertjax.model.ops.flash_tiles import dot, keep
from bertjax.model.ops.random_bits import kept_scale
from bertjax.model.ops.triton_pairs import Pairs

Array = jax.Array


def forward(
  states: States, shared: Shared, settings: Settings, *, keep_logs: bool
) -> tuple[Array, Array | None]:
  """Return `context_BSHK` and, if asked for, `logs_BH1S`.

  Args:
    states: query, already scaled, key and value, [B, S, H, K]; S is a multiple
      of the tile, and K a power of 2 from 16 on.
    shared: which pairs attend, and which are dropped.
    settings: what is known when the kernel is compiled.
    keep_logs: whether to return the logarithm of the softmax's denominator,
      float32, which `backward` reads.
  """
  query = states[0]
  tile, row = _of_states(query, settings.tile.queries)
  logs = _of_numbers(settings.tile.queries) if keep_logs else None
  context, logs = _call(
    _forward_kernel,
    query.shape[1] // settings.tile.queries,
    [_specs(shared), (tile, row, row)],
    [tile, logs],
    [_like(query), _numbers(query) if keep_logs else None],
    settings,
  )(shared, states)
  return context, logs


def backward(
  states: States, shared: Shared, settings: Settings, of_context: States
) -> States:
  """Return the gradients of query, key and value, [B, S, H, K].

  Args:
    states: as of `forward`.
    shared: as of `forward`.
    settings: as of `forward`.
    of_context: `context_BSHK`, its gradient, and `logs_BH1S`.
  """
  query, key, value = states
  keys, queries = settings.tile
  length = query.shape[1]
  tile, row = _of_states(query, queries)
  numbers = _of_numbers(queries)
  of_query, means = _call(
    _query_kernel,
    length // queries,
    [_specs(shared), (tile, row, row), (tile, tile, numbers)],
    [tile, numbers],
    [_like(query), _numbers(query)],
    settings,
  )(shared, states, of_context)
  _, gradient, logs = of_context
  group, _ = _of_states(query, keys)
  all_numbers = _of_numbers(length, whole=True)
  of_key, of_value = _call(
    _key_kernel,
    length // keys,
    [_specs(shared), (row, group, group), (row, all_numbers, all_numbers)],
    [group, group],
    [_like(key), _like(value)],
    settings,
  )(shared, states, (gradient, logs, means))
  return of_query, of_key, of_value


def _call(
  kernel: Any,
  tiles: int,
  in_specs: Any,
  out_specs: Any,
  out_shape: Any,
  settings: Settings,
) -> Any:
  """Return a kernel's function of arrays; it has a program for each tile.

  Programs of neighboring tiles of one head start together and read the same
  keys, or queries, from the cache.
  """
  rows, _, heads, _ = out_shape[0].shape
  return pl.pallas_call(
    functools.partial(kernel, settings=settings),
    grid=(tiles, rows, heads),
    in_specs=in_specs,
    out_specs=out_specs,
    out_shape=out_shape,
    compiler_params=triton.CompilerParams(
      num_warps=_warps(kernel, settings), num_stages=2
    ),
    interpret=settings.interpret,
    name=f"flash{kernel.__name__.removesuffix('_kernel')}",
  )


def _warps(kernel: Any, settings: Settings) -> int:
  """Return the fewest warps whose registers hold what a program keeps."""
  few = kernel is _forward_kernel and settings.tile.queries == 64
  return 4 if few else 8


def _of_states(state: Array, size: int) -> tuple[Any, Any]:
  """Return the blocks of one head: a tile of positions, and all of them."""
  _, length, _, width = state.shape
  tile = pl.BlockSpec((None, size, None, width), lambda i, b, h: (b, i, h, 0))
  row = pl.BlockSpec((None, length, None, width), lambda i, b, h: (b, 0, h, 0))
  return tile, row


def _of_numbers(size: int, *, whole: bool = False) -> Any:
  """Return the block of one number for each position of a tile."""
  return pl.BlockSpec(
    (None, None, None, size), lambda i, b, h: (b, h, 0, 0 if whole else i)
  )


def _specs(shared: Shared) -> Shared:
  """Return the blocks of what all kernels read beside states."""
  length = shared.packs_B1S.shape[-1]
  return Shared(
    pl.BlockSpec((None, None, length), lambda i, b, h: (b, 0, 0)),
    None
    if shared.seeds_BX is None
    else pl.BlockSpec((None, None, 2), lambda i, b, h: (b, 0, h)),
    None
    if shared.reach is None
    else pl.BlockSpec((None, 1), lambda i, b, h: (0, 0)),
  )


def _like(state: Array) -> Any:
  return jax.ShapeDtypeStruct(state.shape, state.dtype)


def _numbers(state: Array) -> Any:
  rows, length, heads, _ = state.shape
  return jax.ShapeDtypeStruct((rows, heads, 1, length), jnp.float32)


def _forward_kernel(
  shared: Shared,
  states: Any,
  context_SK: Any,
  logs_S: Any,
  *,
  settings: Settings,
) -> None:
  """One tile of queries: an online softmax (Dao et al., 2022, algorithm 1)."""
  query_SK, key_TK, value_TK = states
  queries, width = query_SK.shape
  pairs = Pairs(shared, settings, keys_axis=1)
  first, query = pl.program_id(0) * queries, query_SK[...]

  def step(group: Array, carry: States) -> States:
    largest_S, sum_S, total_SK = carry
    parts = pairs.parts(group)
    scores = [
      pairs.mask(dot(query, key_TK[keys, :], 1, 1), keys, first)
      for keys in parts
    ]
    next_S = largest_S
    for scores_SP in scores:
      next_S = jnp.maximum(next_S, jnp.max(scores_SP, axis=1))
    shrink_S = jnp.exp(largest_S - next_S)
    sum_S, total_SK = sum_S * shrink_S, total_SK * shrink_S[:, None]
    dropped = pairs.dropped(group, first)
    for keys, scores_SP, dropped_SP in zip(parts, scores, dropped, strict=True):
      weights_SP = jnp.exp(scores_SP - next_S[:, None])
      sum_S = sum_S + jnp.sum(weights_SP, axis=1)
      kept_SP = keep(weights_SP, dropped_SP).astype(query.dtype)
      total_SK = total_SK + dot(kept_SP, value_TK[keys, :], 1, 0)
    return next_S, sum_S, total_SK

  largest_S, sum_S, total_SK = jax.lax.fori_loop(
    *pairs.bounds(first, queries, settings.tile.keys),
    step,
    (
      jnp.full((queries,), OUTSIDE, jnp.float32),
      jnp.zeros((queries,), jnp.float32),
      jnp.zeros((queries, width), jnp.float32),
    ),
  )
  total_SK = total_SK * (kept_scale(settings.rate) / sum_S)[:, None]
  context_SK[...] = total_SK.astype(context_SK.dtype)
  if logs_S is not None:
    logs_S[...] = largest_S + jnp.log(sum_S)


def _query_kernel(
  shared: Shared,
  states: Any,
  of_context: Any,
  of_query_SK: Any,
  means_S: Any,
  *,
  settings: Settings,
) -> None:
  """The gradient of one tile of queries.

  Dropout's factor is taken out of all sums over pairs, and is multiplied with
  what they give.
  """
  query_SK, key_TK, value_TK = states
  context_SK, gradient_SK, logs_S = of_context
  queries, width = query_SK.shape
  scale = kept_scale(settings.rate)
  pairs = Pairs(shared, settings, keys_axis=1)
  first, query = pl.program_id(0) * queries, query_SK[...]
  gradient, log_S1 = gradient_SK[...], logs_S[...][:, None]
  # Σ_T weight · gradient (Dao et al., 2022, appendix B.4).
  wide_SK = gradient.astype(jnp.float32)
  products_SK = context_SK[...].astype(jnp.float32) * wide_SK
  mean_S = jnp.sum(products_SK, axis=1) * (1 / scale)
  means_S[...] = mean_S

  def step(group: Array, total_SK: Array) -> Array:
    dropped = pairs.dropped(group, first)
    for keys, dropped_SP in zip(pairs.parts(group), dropped, strict=True):
      key = key_TK[keys, :]
      scores_SP = pairs.mask(dot(query, key, 1, 1), keys, first)
      weights_SP = jnp.exp(scores_SP - log_S1)
      gradient_SP = keep(dot(gradient, value_TK[keys, :], 1, 1), dropped_SP)
      gradient_SP = weights_SP * (gradient_SP - mean_S[:, None])
      total_SK = total_SK + dot(gradient_SP.astype(key.dtype), key, 1, 0)
    return total_SK

  total_SK = jax.lax.fori_loop(
    *pairs.bounds(first, queries, settings.tile.keys),
    step,
    jnp.zeros((queries, width), jnp.float32),
  )
  of_query_SK[...] = (total_SK * scale).astype(of_query_SK.dtype)


def _key_kernel(
  shared: Shared,
  states: Any,
  of_context: Any,
  of_key_TK: Any,
  of_value_TK: Any,
  *,
  settings: Settings,
) -> None:
  """The gradients of one group of keys and of their values."""
  query_SK, key_TK, value_TK = states
  gradient_SK, logs_S, means_S = of_context
  scale, (count, queries) = kept_scale(settings.rate), settings.tile
  pairs = Pairs(shared, settings, keys_axis=0)
  group = pl.program_id(0)
  parts, inside = pairs.parts(group), pairs.parts(0)

  def step(place: Array, totals: list[Any]) -> list[Any]:
    first = place * queries
    here = pl.ds(first, queries)
    query, gradient = query_SK[here, :], gradient_SK[here, :]
    log_1S, mean_1S = logs_S[here][None, :], means_S[here][None, :]
    dropped = pairs.dropped(group, first)
    found = []
    for number, (of_key, of_value) in enumerate(totals):
      key, value = key_TK[inside[number], :], value_TK[inside[number], :]
      scores_PS = pairs.mask(dot(key, query, 1, 1), parts[number], first)
      weights_PS = jnp.exp(scores_PS - log_1S)
      kept_PS = keep(weights_PS, dropped[number]).astype(gradient.dtype)
      gradient_PS = keep(dot(value, gradient, 1, 1), dropped[number])
      gradient_PS = (weights_PS * (gradient_PS - mean_1S)).astype(query.dtype)
      found.append(
        (
          of_key + dot(gradient_PS, query, 1, 0),
          of_value + dot(kept_PS, gradient, 1, 0),
        )
      )
    return found

  zeros_PK = jnp.zeros((count // len(parts), key_TK.shape[1]), jnp.float32)
  totals = jax.lax.fori_loop(
    *pairs.bounds(group * count, count, queries),
    step,
    [(zeros_PK, zeros_PK)] * len(parts),
  )
  for keys, sums in zip(inside, totals, strict=True):
    for ref, sum_PK in zip((of_key_TK, of_value_TK), sums, strict=True):
      ref[keys, :] = (sum_PK * scale).astype(ref.dtype)
