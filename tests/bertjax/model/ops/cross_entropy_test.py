# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The cross-entropy and its gradient against a derivation in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.model.ops.cross_entropy import cross_entropy, take_along_last

ROWS, CLASSES = 6, 11
DRAW = np.random.default_rng(0)
LOGITS = 5 * DRAW.standard_normal((2, ROWS, CLASSES)).astype(np.float32)
TARGETS = DRAW.integers(0, CLASSES, (2, ROWS)).astype(np.int32)
COTANGENT = DRAW.standard_normal((2, ROWS)).astype(np.float32)


@pytest.mark.parametrize("shift", [0.0, -1e3, 1e3])
def test_values_and_gradients_equal_a_float64_derivation(shift):
  """Also where the exponential of a logit would overflow."""
  logits = LOGITS + np.float32(shift)
  exact = logits.astype(np.float64)
  exact -= exact.max(axis=-1, keepdims=True)
  shares = np.exp(exact) / np.exp(exact).sum(axis=-1, keepdims=True)
  is_target = np.arange(CLASSES) == TARGETS[..., None]
  losses, pull_back = jax.vjp(lambda x: cross_entropy(x, TARGETS), logits)
  (gradient,) = pull_back(jnp.asarray(COTANGENT))
  np.testing.assert_allclose(
    losses, -np.log(shares[is_target].reshape(2, ROWS)), rtol=1e-5, atol=1e-4
  )
  np.testing.assert_allclose(
    gradient, COTANGENT[..., None] * (shares - is_target), atol=1e-6
  )


def test_taking_by_comparison_is_taking_by_index():
  expected = np.take_along_axis(LOGITS, TARGETS[..., None], axis=-1)[..., 0]
  taken = take_along_last(jnp.asarray(LOGITS), jnp.asarray(TARGETS))
  np.testing.assert_array_equal(taken, expected)
