# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Root-mean-square normalization in float32, with its derivative written out.

It keeps one array of the size of the input, as `layer_norm` does.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def rms_norm(hidden: Array, scale_D: Array, epsilon: float) -> Array:
  """Divide the last axis of `hidden` by its root mean square; return float32.

  Zhang and Sennrich (2019), with ε inside of the root.
  """
  return _rms_norm_forward(hidden, scale_D, epsilon)[0]


def _rms_norm_forward(
  hidden: Array, scale_D: Array, epsilon: float
) -> tuple[Array, Any]:
  exact = hidden.astype(jnp.float32)
  square = jnp.mean(jnp.square(exact), axis=-1, keepdims=True)
  inverse = jax.lax.rsqrt(square + epsilon)
  normal = exact * inverse
  output = normal * _broadcast_to(scale_D, hidden)
  return output, (normal.astype(hidden.dtype), inverse, scale_D)


def _rms_norm_backward(
  epsilon: float, saved: Any, gradient: Array
) -> tuple[Array, Array]:
  del epsilon
  narrow, inverse, scale_D = saved
  normal = narrow.astype(jnp.float32)
  scaled = gradient * _broadcast_to(scale_D, gradient)
  slope = jnp.mean(scaled * normal, axis=-1, keepdims=True)
  return (
    (inverse * (scaled - normal * slope)).astype(narrow.dtype),
    jnp.sum(gradient * normal, axis=tuple(range(gradient.ndim - 1))),
  )


def _broadcast_to(values_D: Array, like: Array) -> Array:
  return values_D.reshape((1,) * (like.ndim - 1) + values_D.shape)


rms_norm.defvjp(_rms_norm_forward, _rms_norm_backward)
