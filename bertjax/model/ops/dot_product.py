# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention inside packed examples, with its derivative written out.

Autodiff saves the softmax in float32 and in the compute dtype, its product
with the dropout mask, and the mask: seven bytes or more for every pair of
positions. This saves one number in the compute dtype for a pair, the numerator
of the softmax, and makes it negative where dropout drops it. The denominator
divides the output, S numbers a head instead of S · T (Dao et al., 2022,
algorithm 1).

Arrays of pairs are keys × queries, the order in which TPU compilers lay them
out. In the order queries × keys the compilers copy the random bits and, in the
backward pass, the weights: 0.75 GB of traffic a layer of BERT-large at 16 rows
of 512 by the v5e compiler's own count. The compiler for v6e (libtpu 0.0.42.1)
crashes. Without derivatives and dropout, a CPU takes the order queries × keys.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from bertjax.model.ops.random_bits import is_dropped, kept_scale

Array = jax.Array
# The score of a pair that is not in one pack. The largest score of the pack is
# subtracted before the exponential, which is then exactly 0 for such a pair.
OUTSIDE = -1e9
# The name by which rematerialization policies find the output of attention.
CONTEXT = "context"


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def attend(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  bits_BHTS: Array | None,
  rate: float,
  near_TS: Array | None = None,
) -> Array:
  """Return softmax(query · key) · value within each pack, `context_BSHK`.

  Args:
    query_BSHK: already scaled, in the compute dtype.
    key_BTHK: keys, in the compute dtype.
    value_BTHK: values, in the compute dtype.
    packs_BS: number of the packed example, 0 for padding; a position attends
      to the positions of the same number.
    bits_BHTS: draws for the dropout of attention weights, or None for no
      dropout.
    rate: share of the attention weights that is dropped: `given_rate` of the
      draws, or any rate if they are uint16.
    near_TS: bool, the pairs of a row that may attend; None allows all. Every
      position attends to itself.
  """
  if bits_BHTS is None:
    return jax.lax.platform_dependent(
      query_BSHK,
      key_BTHK,
      value_BTHK,
      packs_BS,
      near_TS,
      cpu=_attend_by_queries,
      default=_attend_by_keys,
    )
  return _forward(
    query_BSHK, key_BTHK, value_BTHK, packs_BS, bits_BHTS, rate, near_TS
  )[0]


def _attend_by_keys(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  near_TS: Array | None,
) -> Array:
  no_bits, rate = None, 0.0
  return _forward(
    query_BSHK, key_BTHK, value_BTHK, packs_BS, no_bits, rate, near_TS
  )[0]


def _attend_by_queries(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  near_TS: Array | None,
) -> Array:
  """Attend with the keys of a query side by side, which CPUs add up fastest."""
  query_BHSK, key_BHTK, value_BHTK = (
    states.swapaxes(1, 2) for states in (query_BSHK, key_BTHK, value_BTHK)
  )
  near_ST = None if near_TS is None else near_TS.T
  inside_B1ST = _inside(packs_BS, near_ST)
  scores_BHST = jnp.where(
    inside_B1ST,
    jnp.einsum(
      "BHSK,BHTK->BHST",
      query_BHSK,
      key_BHTK,
      preferred_element_type=jnp.float32,
    ),
    OUTSIDE,
  )
  weights_BHST = jnp.exp(scores_BHST - scores_BHST.max(axis=-1, keepdims=True))
  context_BHSK = jnp.einsum(
    "BHST,BHTK->BHSK",
    weights_BHST.astype(query_BSHK.dtype),
    value_BHTK,
    preferred_element_type=jnp.float32,
  )
  context_BHSK = context_BHSK / weights_BHST.sum(axis=-1, keepdims=True)
  return context_BHSK.astype(query_BSHK.dtype).swapaxes(1, 2)


def _inside(packs_BS: Array, near: Array | None) -> Array:
  """Return which pairs of positions attend, [rows, 1, positions, positions]."""
  inside = packs_BS[:, None, :, None] == packs_BS[:, None, None, :]
  return inside if near is None else inside & near[None, None]


def _forward(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  bits_BHTS: Array | None,
  rate: float,
  near_TS: Array | None = None,
) -> tuple[Array, Any]:
  scores_BHTS = jnp.einsum(
    "BTHK,BSHK->BHTS", key_BTHK, query_BSHK, preferred_element_type=jnp.float32
  )
  scores_BHTS = jnp.where(_inside(packs_BS, near_TS), scores_BHTS, OUTSIDE)
  weights_BHTS = jnp.exp(scores_BHTS - scores_BHTS.max(axis=-2, keepdims=True))
  sums_BSH1 = weights_BHTS.sum(axis=-2).swapaxes(1, 2)[..., None]
  weights_BHTS = weights_BHTS.astype(query_BSHK.dtype)
  if bits_BHTS is not None:
    dropped_BHTS = is_dropped(bits_BHTS, rate)
    weights_BHTS = jnp.where(dropped_BHTS, -weights_BHTS, weights_BHTS)
  context_BSHK = jnp.einsum(
    "BHTS,BTHK->BSHK",
    _kept(weights_BHTS, rate),
    value_BTHK,
    preferred_element_type=jnp.float32,
  )
  context_BSHK = (context_BSHK / sums_BSH1).astype(query_BSHK.dtype)
  context_BSHK = checkpoint_name(context_BSHK, CONTEXT)
  return context_BSHK, (
    query_BSHK,
    key_BTHK,
    value_BTHK,
    weights_BHTS,
    sums_BSH1,
    context_BSHK,
  )


def _backward(
  rate: float, saved: Any, gradient_BSHK: Array
) -> tuple[Array, Array, Array, None, None, None]:
  query_BSHK, key_BTHK, value_BTHK, weights_BHTS, sums_BSH1, context_BSHK = (
    saved
  )
  dtype = query_BSHK.dtype
  # The softmax's denominator divides S numbers a head here, not S · T.
  gradient_BSHK = (gradient_BSHK.astype(jnp.float32) / sums_BSH1).astype(dtype)
  gradient_BHTS = jnp.einsum(
    "BTHK,BSHK->BHTS",
    value_BTHK,
    gradient_BSHK,
    preferred_element_type=jnp.float32,
  )
  # Σ_T weight · gradient, without the sum over T (Dao et al., 2022, appendix
  # B.4). Dropout's factor is on both sides, so this holds with dropout.
  mean_BHS = jnp.einsum(
    "BSHK,BSHK->BHS",
    gradient_BSHK,
    context_BSHK,
    preferred_element_type=jnp.float32,
  )
  gradient_BHTS = jnp.where(
    weights_BHTS > 0, gradient_BHTS * kept_scale(rate), 0.0
  )
  gradient_BHTS = jnp.abs(weights_BHTS).astype(jnp.float32) * (
    gradient_BHTS - mean_BHS[..., None, :]
  )
  gradient_BHTS = gradient_BHTS.astype(dtype)
  return (
    jnp.einsum("BHTS,BTHK->BSHK", gradient_BHTS, key_BTHK),
    jnp.einsum("BHTS,BSHK->BTHK", gradient_BHTS, query_BSHK),
    jnp.einsum("BHTS,BSHK->BTHK", _kept(weights_BHTS, rate), gradient_BSHK),
    None,
    None,
    None,
  )


attend.defvjp(_forward, _backward)


def _kept(weights: Array, rate: float) -> Array:
  """Return the weights that dropout keeps, scaled up, and 0 for the rest."""
  if rate == 0.0:
    return weights
  return jnp.maximum(weights, 0) * kept_scale(rate)
