# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Two Pallas kernels for TPUs: attention with dropout, and its derivative.

The forward kernel is the online softmax of Dao et al. (2022, algorithm 1). The
backward kernel computes the weights and the draws of dropout again, and all
three gradients in one pass.

Arrays of pairs are keys × queries, and states are widths × positions. Then the
softmax reduces over sublanes, its maximum and its sum are one number a lane,
and no product needs a tile of pairs transposed. Heads of width 64 fill their
tiles in memory, too.

All keys and values of a head stay on the chip while its queries pass, so that
each state is read once and each gradient written once, whatever the length.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from bertjax.model.ops.dot_product import OUTSIDE
from bertjax.model.ops.flash_inputs import Settings, Shared, States
from bertjax.model.ops.flash_tiles import dot, find_tiles, keep
from bertjax.model.ops.random_bits import kept_scale
from bertjax.model.ops.weight_draws import drop_tile

Array = jax.Array
_LANES = 128


def forward(
  states: States, shared: Shared, settings: Settings, *, keep_logs: bool
) -> tuple[Array, Array | None]:
  """Return `context_BHKS` and, if asked for, `logs_BH1S`.

  Args:
    states: query, already scaled, key and value, [B, H, K, S].
    shared: which pairs attend, and which are dropped.
    settings: what is known when the kernel is compiled.
    keep_logs: whether to return the logarithm of the softmax's denominator,
      float32, which `backward` reads.
  """
  rows, heads, width, length = states[0].shape
  queries = settings.tile.queries
  of_head = pl.BlockSpec(
    (None, None, width, length), lambda b, h, i: (b, h, 0, 0)
  )
  of_tile = lambda size: pl.BlockSpec(
    (None, None, size, queries), lambda b, h, i: (b, h, 0, i)
  )
  like = lambda size, dtype: jax.ShapeDtypeStruct(
    (rows, heads, size, length), dtype
  )
  context, logs = pl.pallas_call(
    functools.partial(_forward_kernel, settings=settings),
    grid=(rows, heads, length // queries),
    in_specs=[_specs(shared), (of_tile(width), of_head, of_head)],
    out_specs=[of_tile(width), of_tile(1) if keep_logs else None],
    out_shape=[
      like(width, states[0].dtype),
      like(1, jnp.float32) if keep_logs else None,
    ],
    compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel",) * 3),
    interpret=settings.interpret,
    name="flash_forward",
  )(shared, states)
  return context, logs


def backward(
  states: States, shared: Shared, settings: Settings, of_context: States
) -> States:
  """Return the gradients of query, key and value, [B, H, K, S].

  Args:
    states: as of `forward`.
    shared: as of `forward`.
    settings: as of `forward`.
    of_context: `context_BHKS`, its gradient, and `logs_BH1S`.
  """
  rows, heads, width, length = states[0].shape
  of_head = lambda size: pl.BlockSpec(
    (None, None, size, length), lambda b, h: (b, h, 0, 0)
  )
  states_specs = (of_head(width),) * 3
  (gradients,) = pl.pallas_call(
    functools.partial(_backward_kernel, settings=settings),
    grid=(rows, heads),
    in_specs=[
      _specs(shared),
      states_specs,
      (of_head(width), of_head(width), of_head(1)),
    ],
    out_specs=[states_specs],
    out_shape=[
      tuple(jax.ShapeDtypeStruct(each.shape, each.dtype) for each in states)
    ],
    scratch_shapes=[
      pltpu.VMEM((width, length), jnp.float32),
      pltpu.VMEM((1, length), jnp.float32),
    ],
    compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel",) * 2),
    interpret=settings.interpret,
    name="flash_backward",
  )(shared, states, of_context)
  return gradients


def _specs(shared: Shared) -> Shared:
  """Return the blocks of what both kernels read beside states."""
  scalars = functools.partial(pl.BlockSpec, memory_space=pltpu.SMEM)
  length = shared.packs_B1S.shape[-1]
  return Shared(
    pl.BlockSpec((None, 1, length), lambda b, *_: (b, 0, 0)),
    None
    if shared.seeds_BX is None
    else scalars((None, 1, shared.seeds_BX.shape[-1]), lambda b, *_: (b, 0, 0)),
    None if shared.reach is None else scalars((1, 1), lambda *_: (0, 0)),
  )


def _forward_kernel(
  shared: Shared,
  states: Any,
  context_KS: Any,
  logs_1S: Any,
  *,
  settings: Settings,
) -> None:
  """One tile of queries, which is all that the refs of queries hold."""
  query_KS, key_KT, value_KT = states
  width = key_KT.shape[0]
  tile, place = settings.tile, pl.program_id(2)
  pairs = _Pairs(shared, settings)
  query = query_KS[...]

  def step(index: Array, carry: States) -> States:
    largest_1S, sum_1S, total_KS = carry
    keys = _cut(index, tile.keys)
    columns_TL = pairs.columns(index)
    scores_TS = pairs.scores(key_KT[:, keys], query, columns_TL, (index, place))
    next_1S = jnp.maximum(largest_1S, jnp.max(scores_TS, axis=0, keepdims=True))
    weights_TS = jnp.exp(scores_TS - next_1S)
    shrink_1S = jnp.exp(largest_1S - next_1S)
    sum_1S = sum_1S * shrink_1S + jnp.sum(weights_TS, axis=0, keepdims=True)
    kept_TS = keep(weights_TS, pairs.dropped(index, place))
    part_KS = dot(value_KT[:, keys], kept_TS.astype(value_KT.dtype), 1, 0)
    return next_1S, sum_1S, total_KS * shrink_1S + part_KS

  bounds = pairs.bounds(place * tile.queries, tile.queries, tile.keys)
  largest_1S, sum_1S, total_KS = jax.lax.fori_loop(
    *bounds,
    step,
    (
      jnp.full((1, tile.queries), OUTSIDE, jnp.float32),
      jnp.zeros((1, tile.queries), jnp.float32),
      jnp.zeros((width, tile.queries), jnp.float32),
    ),
  )
  total_KS = total_KS * (kept_scale(settings.rate) / sum_1S)
  context_KS[...] = total_KS.astype(context_KS.dtype)
  if logs_1S is not None:
    logs_1S[...] = largest_1S + jnp.log(sum_1S)


def _backward_kernel(
  shared: Shared,
  states: Any,
  of_context: Any,
  gradients: Any,
  sums_KS: Any,
  mean_1S: Any,
  *,
  settings: Settings,
) -> None:
  """All tiles of one head."""
  query_KS, key_KT, value_KT = states
  context_KS, gradient_KS, logs_1S = of_context
  width, length = key_KT.shape
  tile, scale = settings.tile, kept_scale(settings.rate)
  pairs = _Pairs(shared, settings)
  # Σ_T weight · gradient (Dao et al., 2022, appendix B.4). Dropout's factor is
  # taken out of all sums over pairs, and is multiplied with what they give.
  mean_1S[...] = jnp.sum(
    context_KS[...].astype(jnp.float32) * gradient_KS[...].astype(jnp.float32),
    axis=0,
    keepdims=True,
  ) * (1 / scale)
  sums_KS[...] = jnp.zeros_like(sums_KS)

  def of_keys(index: Array, _: None) -> None:
    keys = _cut(index, tile.keys)
    key, value = key_KT[:, keys], value_KT[:, keys]
    columns_TL = pairs.columns(index)

    def step(place: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
      queries = _cut(place, tile.queries)
      query, gradient = query_KS[:, queries], gradient_KS[:, queries]
      scores_TS = pairs.scores(key, query, columns_TL, (index, place))
      weights_TS = jnp.exp(scores_TS - logs_1S[:, queries])
      dropped_TS = pairs.dropped(index, place)
      kept_TS = keep(weights_TS, dropped_TS).astype(gradient.dtype)
      gradient_TS = keep(dot(value.T, gradient, 1, 0), dropped_TS)
      gradient_TS = weights_TS * (gradient_TS - mean_1S[:, queries])
      gradient_TS = gradient_TS.astype(gradient.dtype)
      sums_KS[:, queries] += dot(key, gradient_TS, 1, 0)
      return (
        carry[0] + dot(query, gradient_TS, 1, 1),
        carry[1] + dot(gradient, kept_TS, 1, 1),
      )

    zeros_KT = jnp.zeros((width, tile.keys), jnp.float32)
    bounds = pairs.bounds(index * tile.keys, tile.keys, tile.queries)
    of_tile = jax.lax.fori_loop(*bounds, step, (zeros_KT, zeros_KT))
    for ref, sum_KT in zip(gradients[1:], of_tile, strict=True):
      ref[:, keys] = (sum_KT * scale).astype(ref.dtype)

  jax.lax.fori_loop(0, length // tile.keys, of_keys, None)
  gradients[0][...] = (sums_KS[...] * scale).astype(gradients[0].dtype)


class _Pairs:
  """What a kernel asks about the pairs of a tile of keys and one of queries."""

  def __init__(self, shared: Shared, settings: Settings) -> None:
    self._packs_1S, self._seeds, self._reach = shared
    self._tile, self._settings = settings.tile, settings
    self._head = pl.program_id(1)  # which a loop's body cannot ask for

  def columns(self, index: Array) -> Array:
    """Return the packs of a tile of keys, one a sublane, in all lanes."""
    packs_1T = self._packs_1S[:, _cut(index, self._tile.keys)]
    return jnp.broadcast_to(packs_1T, (_LANES, self._tile.keys)).T

  def scores(
    self,
    key_KT: Array,
    query_KS: Array,
    columns_TL: Array,
    at: tuple[Array, Array],
  ) -> Array:
    """Return the scores of a tile, OUTSIDE where none attends.

    Args:
      key_KT: one tile of keys.
      query_KS: one tile of queries.
      columns_TL: the packs of the keys.
      at: number of the tile of keys, and of the tile of queries.
    """
    index, place = at
    keys, queries = self._tile
    scores_TS = dot(key_KT.T, query_KS, 1, 0)
    columns_TS = jnp.tile(columns_TL, (1, queries // _LANES))
    inside_TS = columns_TS == self._packs_1S[:, _cut(place, queries)]
    if self._reach is not None:
      iota = lambda axis: jax.lax.broadcasted_iota(
        jnp.int32, (keys, queries), axis
      )
      apart_TS = iota(0) - iota(1) + (index * keys - place * queries)
      inside_TS = inside_TS & (jnp.abs(apart_TS) <= self._reach[0, 0])
    return jnp.where(inside_TS, scores_TS, OUTSIDE)

  def dropped(self, index: Array, place: Array) -> Array | None:
    """Return which pairs of a tile are dropped; None if none is."""
    if self._seeds is None:
      return None
    head, (keys, queries) = self._head, self._tile
    seed = (self._seeds[0, 2 * head], self._seeds[0, 2 * head + 1])
    first = (index * keys, place * queries)
    rate, draws = self._settings.rate, self._settings.draws
    return drop_tile(seed, first, (keys, queries), rate, draws)

  def bounds(self, first: Array, count: int, other: int) -> tuple[Any, Any]:
    """Return which tiles, of size `other`, are within reach of positions.

    Args:
      first: the first of the positions.
      count: number of the positions.
      other: size of the tiles.
    """
    reach = None if self._reach is None else self._reach[0, 0]
    return find_tiles(reach, self._packs_1S.shape[1], (first, count), other)


def _cut(index: Array, size: int) -> Any:
  """Return slice number `index` of slices of `size`."""
  return pl.ds(pl.multiple_of(index * size, size), size)
