# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""GELU, exact and approximate, with derivatives written out.

Autodiff would keep three or four arrays of the size of the input; these keep
one.
"""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


@jax.custom_jvp
def gelu(x: Array) -> Array:
  """Return x · Φ(x), with Φ through erf; jax.nn goes through costlier erfc."""
  return x * _normal_cdf(x)


@gelu.defjvp
def _gelu_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
  (x,), (dx,) = primals, tangents
  cdf = _normal_cdf(x)
  density = jnp.exp(-0.5 * x * x) * (0.5 / jnp.pi) ** 0.5
  return x * cdf, dx * (cdf + x * density)


def _normal_cdf(x: Array) -> Array:
  return 0.5 + 0.5 * jax.lax.erf(x * 0.5**0.5)


@jax.custom_jvp
def gelu_tanh(x: Array) -> Array:
  """Return the tanh approximation of gelu (Hendrycks and Gimpel, 2016)."""
  return x * (0.5 + 0.5 * jnp.tanh(_tanh_argument(x)))


@gelu_tanh.defjvp
def _gelu_tanh_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
  (x,), (dx,) = primals, tangents
  inner = jnp.tanh(_tanh_argument(x))
  cdf = 0.5 + 0.5 * inner
  slope = (2 / jnp.pi) ** 0.5 * (1.0 + 3 * 0.044715 * x * x)
  return x * cdf, dx * (cdf + 0.5 * x * (1.0 - inner * inner) * slope)


def _tanh_argument(x: Array) -> Array:
  return (2 / jnp.pi) ** 0.5 * x * (1.0 + 0.044715 * x * x)
