# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""SiLU and its derivative against the definition in float64."""

import jax
import numpy as np

from bertjax.model.ops.silu import silu

X = np.linspace(-20, 20, 1001, dtype=np.float32)


def by_hand(x):
  return x / (1 + np.exp(-x))


def test_silu_equals_its_definition():
  exact = by_hand(X.astype(np.float64))
  np.testing.assert_allclose(silu(X), exact, atol=1e-6, rtol=1e-6)


def test_the_derivative_is_the_slope_of_the_definition():
  near, far = (by_hand(X.astype(np.float64) + step) for step in (-1e-4, 1e-4))
  slope = jax.vmap(jax.grad(silu))(X)
  np.testing.assert_allclose(slope, (far - near) / 2e-4, atol=1e-5)
