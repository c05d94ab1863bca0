# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Layer normalization in float32, with its derivative written out.

Autodiff would keep several float32 arrays of the size of the input; this keeps
one, in the input's dtype.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def layer_norm(
  hidden: Array, scale_D: Array, bias_D: Array | None, epsilon: float
) -> Array:
  """Normalize the last axis of `hidden`; return float32.

  The variance is the mean of the squared deviations. The mean of the squares
  minus the square of the mean would lose its digits far from zero.
  """
  return _layer_norm_forward(hidden, scale_D, bias_D, epsilon)[0]


def _layer_norm_forward(
  hidden: Array, scale_D: Array, bias_D: Array | None, epsilon: float
) -> tuple[Array, Any]:
  exact = hidden.astype(jnp.float32)
  centered = exact - jnp.mean(exact, axis=-1, keepdims=True)
  variance = jnp.mean(jnp.square(centered), axis=-1, keepdims=True)
  inverse = jax.lax.rsqrt(variance + epsilon)
  normal = centered * inverse
  output = normal * _broadcast_to(scale_D, hidden)
  if bias_D is not None:
    output = output + _broadcast_to(bias_D, hidden)
  # Saved in the dtype of the input, half as large in bfloat16. The last entry
  # has no arrays and says whether there is a bias.
  marker = None if bias_D is None else ()
  return output, (normal.astype(hidden.dtype), inverse, scale_D, marker)


def _layer_norm_backward(
  epsilon: float, saved: Any, gradient: Array
) -> tuple[Array, Array, Array | None]:
  del epsilon
  narrow, inverse, scale_D, marker = saved
  normal = narrow.astype(jnp.float32)
  rows = tuple(range(gradient.ndim - 1))
  scaled = gradient * _broadcast_to(scale_D, gradient)
  mean = jnp.mean(scaled, axis=-1, keepdims=True)
  slope = jnp.mean(scaled * normal, axis=-1, keepdims=True)
  return (
    (inverse * (scaled - mean - normal * slope)).astype(narrow.dtype),
    jnp.sum(gradient * normal, axis=rows),
    None if marker is None else jnp.sum(gradient, axis=rows),
  )


def _broadcast_to(values_D: Array, like: Array) -> Array:
  return values_D.reshape((1,) * (like.ndim - 1) + values_D.shape)


layer_norm.defvjp(_layer_norm_forward, _layer_norm_backward)
