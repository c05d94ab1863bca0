# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention inside packed examples, with its derivative written down.

Left to itself, differentiation keeps the scores' softmax in float32 and again
in the dtype of compute, what dropout leaves of it, and which it leaves: seven
bytes or more for every pair of positions. Written down, it keeps one number
of the dtype of compute, whose sign says whether it was dropped: the softmax's
numerator. Its denominator divides what was attended to, once in S and not in
S · T (Dao et al., 2022, algorithm 1).
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
  bits_BHST: Array | None,
  rate: float,
) -> Array:
  """Return softmax(query · key) · value within each pack, `context_BSHK`.

  Args:
    query_BSHK: scaled already.
    key_BTHK: of the same dtype, that of compute.
    value_BTHK: too.
    packs_BS: 0 padding, which sees itself; else the packed example.
    bits_BHST: uint16, uniform, for the dropout of weights; None drops none.
    rate: of that dropout.
  """
  return _forward(query_BSHK, key_BTHK, value_BTHK, packs_BS, bits_BHST, rate)[
    0
  ]


def _forward(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  bits_BHST: Array | None,
  rate: float,
) -> tuple[Array, Any]:
  scores_BHST = jnp.einsum(
    "BSHK,BTHK->BHST",
    query_BSHK,
    key_BTHK,
    preferred_element_type=jnp.float32,
  )
  inside_B1ST = packs_BS[:, None, :, None] == packs_BS[:, None, None, :]
  scores_BHST = jnp.where(inside_B1ST, scores_BHST, OUTSIDE)
  weights_BHST = jnp.exp(scores_BHST - scores_BHST.max(axis=-1, keepdims=True))
  sums_BSH1 = weights_BHST.sum(axis=-1).swapaxes(1, 2)[..., None]
  weights_BHST = weights_BHST.astype(query_BSHK.dtype)
  if bits_BHST is not None:
    dropped_BHST = bits_BHST < dropped_below(rate)
    weights_BHST = jnp.where(dropped_BHST, -weights_BHST, weights_BHST)
  context_BSHK = jnp.einsum(
    "BHST,BTHK->BSHK",
    _kept(weights_BHST, rate),
    value_BTHK,
    preferred_element_type=jnp.float32,
  )
  context_BSHK = (context_BSHK / sums_BSH1).astype(query_BSHK.dtype)
  context_BSHK = checkpoint_name(context_BSHK, CONTEXT)
  return context_BSHK, (
    query_BSHK,
    key_BTHK,
    value_BTHK,
    weights_BHST,
    sums_BSH1,
    context_BSHK,
  )


def _backward(
  rate: float, kept: Any, gradient_BSHK: Array
) -> tuple[Array, Array, Array, None, None]:
  query_BSHK, key_BTHK, value_BTHK, weights_BHST, sums_BSH1, context_BSHK = kept
  dtype = query_BSHK.dtype
  # The weights' divisor, where it is one number in S rather than in S · T.
  gradient_BSHK = (gradient_BSHK.astype(jnp.float32) / sums_BSH1).astype(dtype)
  slope_BHST = jnp.einsum(
    "BSHK,BTHK->BHST",
    gradient_BSHK,
    value_BTHK,
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
  slope_BHST = jnp.where(weights_BHST > 0, slope_BHST * kept_scale(rate), 0.0)
  slope_BHST = jnp.abs(weights_BHST).astype(jnp.float32) * (
    slope_BHST - mean_BHS[..., None]
  )
  slope_BHST = slope_BHST.astype(dtype)
  return (
    jnp.einsum("BHST,BTHK->BSHK", slope_BHST, key_BTHK),
    jnp.einsum("BHST,BSHK->BTHK", slope_BHST, query_BSHK),
    jnp.einsum("BHST,BSHK->BTHK", _kept(weights_BHST, rate), gradient_BSHK),
    None,
    None,
  )


attend.defvjp(_forward, _backward)


def _kept(weights: Array, rate: float) -> Array:
  """Return the weights that dropout leaves, scaled up; the rest are 0."""
  if rate == 0.0:
    return weights
  return jnp.maximum(weights, 0) * kept_scale(rate)
