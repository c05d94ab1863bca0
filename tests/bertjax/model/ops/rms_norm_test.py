# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The value and the derivative of root-mean-square normalization."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.model.ops.rms_norm import rms_norm

DRAW = np.random.default_rng(1)
HIDDEN, COTANGENT = DRAW.standard_normal((2, 3, 5, 16)).astype(np.float32)
SCALE_D = DRAW.standard_normal(16).astype(np.float32)


def plain(hidden, scale_D):
  mean = (hidden**2).mean(axis=-1, keepdims=True)
  return hidden / jnp.sqrt(mean + 0.1) * scale_D[None, None]


def test_it_equals_the_plain_formula_in_value_and_gradients():
  def run(function):
    weigh = lambda *inputs: jnp.sum(function(*inputs) * COTANGENT)
    return jax.jit(jax.value_and_grad(weigh, argnums=(0, 1)))(HIDDEN, SCALE_D)

  got = run(lambda *inputs: rms_norm(*inputs, 0.1))
  for leaf, expected in zip(
    jax.tree.leaves(got), jax.tree.leaves(run(plain)), strict=True
  ):
    np.testing.assert_allclose(leaf, expected, atol=1e-5, rtol=1e-5)


def test_statistics_are_in_float32_and_the_gradient_in_the_dtype_of_the_input():
  narrow = jnp.asarray(100 * HIDDEN, jnp.bfloat16)
  found: Any = jax.vjp(lambda hidden: rms_norm(hidden, SCALE_D, 1e-6), narrow)
  output, back = found
  assert output.dtype == jnp.float32
  exact = np.asarray(narrow, np.float64)
  exact /= np.sqrt((exact**2).mean(axis=-1, keepdims=True))
  np.testing.assert_allclose(output, exact * SCALE_D, atol=1e-5)
  (slope,) = back(jnp.ones_like(output))
  assert slope.dtype == jnp.bfloat16
