# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention inside packed examples, with its derivative written down.

Left to itself, differentiation keeps the scores' softmax in float32 and again
in the dtype of compute, what dropout leaves of it, and which it leaves: seven
bytes or more for every pair of positions. Written down, it keeps one number
of the dtype of compute, whose sign says whether it was dropped: the softmax's
numerator. Its denominator divides what was attended to, once in S and not in
S · T (Dao et al., 2022, algorithm 1).

Pairs are keys × queries, the order in which compilers for TPU lay them out. In
the other they copy the random bits and, on the way back, the weights, which
comes to 0.75 GB of traffic a layer of BERT-large at 16 rows of 512 by v5e's own
count, and v6e's (libtpu 0.0.42.1) dies of it.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from bertjax.model.layers import dropped_below, kept_scale

Array = jax.Array
# Added to scores outside a pack. The largest score of a pack is subtracted
# before the exponential, which is then exactly 0: padding is invisible.
OUTSIDE = -1e9
# The name under which rematerialisation finds what was attended to.
CONTEXT = "context"


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def attend(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  bits_BHTS: Array | None,
  rate: float,
) -> Array:
  """Return softmax(query · key) · value within each pack, `context_BSHK`.

  Args:
    query_BSHK: scaled already.
    key_BTHK: of the same dtype, that of compute.
    value_BTHK: too.
    packs_BS: 0 padding, which sees itself; else the packed example.
    bits_BHTS: uint16, uniform, for the dropout of weights; None drops none.
    rate: of that dropout.
  """
  return _forward(query_BSHK, key_BTHK, value_BTHK, packs_BS, bits_BHTS, rate)[
    0
  ]


def _forward(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  bits_BHTS: Array | None,
  rate: float,
) -> tuple[Array, Any]:
  scores_BHTS = jnp.einsum(
    "BTHK,BSHK->BHTS",
    key_BTHK,
    query_BSHK,
    preferred_element_type=jnp.float32,
  )
  inside_B1TS = packs_BS[:, None, :, None] == packs_BS[:, None, None, :]
  scores_BHTS = jnp.where(inside_B1TS, scores_BHTS, OUTSIDE)
  weights_BHTS = jnp.exp(scores_BHTS - scores_BHTS.max(axis=-2, keepdims=True))
  sums_BSH1 = weights_BHTS.sum(axis=-2).swapaxes(1, 2)[..., None]
  weights_BHTS = weights_BHTS.astype(query_BSHK.dtype)
  if bits_BHTS is not None:
    dropped_BHTS = bits_BHTS < dropped_below(rate)
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
  rate: float, kept: Any, gradient_BSHK: Array
) -> tuple[Array, Array, Array, None, None]:
  query_BSHK, key_BTHK, value_BTHK, weights_BHTS, sums_BSH1, context_BSHK = kept
  dtype = query_BSHK.dtype
  # The weights' divisor, where it is one number in S rather than in S · T.
  gradient_BSHK = (gradient_BSHK.astype(jnp.float32) / sums_BSH1).astype(dtype)
  slope_BHTS = jnp.einsum(
    "BTHK,BSHK->BHTS",
    value_BTHK,
    gradient_BSHK,
    preferred_element_type=jnp.float32,
  )
  # Σ_T weight · slope, without the sum over T (Dao et al., 2022, appendix
  # B.4): it holds with dropout too, whose factor is in either side.
  mean_BHS = jnp.einsum(
    "BSHK,BSHK->BHS",
    gradient_BSHK,
    context_BSHK,
    preferred_element_type=jnp.float32,
  )
  slope_BHTS = jnp.where(weights_BHTS > 0, slope_BHTS * kept_scale(rate), 0.0)
  slope_BHTS = jnp.abs(weights_BHTS).astype(jnp.float32) * (
    slope_BHTS - mean_BHS[..., None, :]
  )
  slope_BHTS = slope_BHTS.astype(dtype)
  return (
    jnp.einsum("BHTS,BTHK->BSHK", slope_BHTS, key_BTHK),
    jnp.einsum("BHTS,BSHK->BTHK", slope_BHTS, query_BSHK),
    jnp.einsum("BHTS,BSHK->BTHK", _kept(weights_BHTS, rate), gradient_BSHK),
    None,
    None,
  )


attend.defvjp(_forward, _backward)


def _kept(weights: Array, rate: float) -> Array:
  """Return the weights that dropout leaves, scaled up; the rest are 0."""
  if rate == 0.0:
    return weights
  return jnp.maximum(weights, 0) * kept_scale(rate)
