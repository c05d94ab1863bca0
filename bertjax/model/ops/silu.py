# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""SiLU, with its derivative written out, which keeps one array."""

from typing import Any

import jax

Array = jax.Array


@jax.custom_jvp
def silu(x: Array) -> Array:
  """Return x · sigmoid(x) (Hendrycks and Gimpel, 2016)."""
  return x * jax.nn.sigmoid(x)


@silu.defjvp
def _silu_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
  (x,), (dx,) = primals, tangents
  share = jax.nn.sigmoid(x)
  return x * share, dx * share * (1.0 + x * (1.0 - share))
