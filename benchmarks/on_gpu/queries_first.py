# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The plain path of attention with its pairs in the other order.

`bertjax.model.ops.dot_product.attend` lays pairs out as keys × queries, as TPU
compilers do. Here they are queries × keys, so that the softmax reduces the last
axis. A card decides which is faster on GPUs.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from bertjax.model.ops.dot_product import OUTSIDE
from bertjax.model.ops.random_bits import is_dropped, kept_scale

Array = jax.Array


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def attend(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  bits_BHST: Array | None,
  rate: float,
  near_ST: Array | None = None,
) -> Array:
  """Return what `dot_product.attend` does; bits are queries × keys."""
  return _forward(
    query_BSHK, key_BTHK, value_BTHK, packs_BS, bits_BHST, rate, near_ST
  )[0]


def _forward(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  bits_BHST: Array | None,
  rate: float,
  near_ST: Array | None = None,
) -> tuple[Array, Any]:
  dtype = query_BSHK.dtype
  scores_BHST = _product("BSHK,BTHK->BHST", query_BSHK, key_BTHK)
  inside_B1ST = packs_BS[:, None, :, None] == packs_BS[:, None, None, :]
  if near_ST is not None:
    inside_B1ST = inside_B1ST & near_ST[None, None]
  scores_BHST = jnp.where(inside_B1ST, scores_BHST, OUTSIDE)
  weights_BHST = jnp.exp(scores_BHST - scores_BHST.max(axis=-1, keepdims=True))
  sums_BSH1 = weights_BHST.sum(axis=-1, keepdims=True).swapaxes(1, 2)
  weights_BHST = weights_BHST.astype(dtype)
  if bits_BHST is not None:
    dropped_BHST = is_dropped(bits_BHST, rate)
    weights_BHST = jnp.where(dropped_BHST, -weights_BHST, weights_BHST)
  context_BSHK = _product(
    "BHST,BTHK->BSHK", _kept(weights_BHST, rate), value_BTHK
  )
  context_BSHK = (context_BSHK / sums_BSH1).astype(dtype)
  states = (query_BSHK, key_BTHK, value_BTHK)
  return context_BSHK, (states, weights_BHST, sums_BSH1, context_BSHK)


def _backward(
  rate: float, saved: Any, gradient_BSHK: Array
) -> tuple[Array | None, ...]:
  (query_BSHK, key_BTHK, value_BTHK), weights_BHST, sums_BSH1, context = saved
  dtype = query_BSHK.dtype
  gradient_BSHK = (gradient_BSHK.astype(jnp.float32) / sums_BSH1).astype(dtype)
  gradient_BHST = _product("BSHK,BTHK->BHST", gradient_BSHK, value_BTHK)
  mean_BHS = _product("BSHK,BSHK->BHS", gradient_BSHK, context)
  gradient_BHST = jnp.where(
    weights_BHST > 0, gradient_BHST * kept_scale(rate), 0.0
  )
  gradient_BHST = jnp.abs(weights_BHST).astype(jnp.float32) * (
    gradient_BHST - mean_BHS[..., None]
  )
  gradient_BHST = gradient_BHST.astype(dtype)
  return (
    jnp.einsum("BHST,BTHK->BSHK", gradient_BHST, key_BTHK),
    jnp.einsum("BHST,BSHK->BTHK", gradient_BHST, query_BSHK),
    jnp.einsum("BHST,BSHK->BTHK", _kept(weights_BHST, rate), gradient_BSHK),
    *(None, None, None),
  )


attend.defvjp(_forward, _backward)


def _product(equation: str, left: Array, right: Array) -> Array:
  return jnp.einsum(equation, left, right, preferred_element_type=jnp.float32)


def _kept(weights: Array, rate: float) -> Array:
  return jnp.maximum(weights, 0) * kept_scale(rate) if rate else weights
