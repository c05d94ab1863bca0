# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The mean and the derivative of layer normalization."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.layers import Norm
from bertjax.model.ops.layer_norm import layer_norm

X = np.random.default_rng(0).standard_normal((4, 8, 64)).astype(np.float32)


def test_layer_norm_equals_a_float64_derivation_far_from_zero():
  # A mean of 1e2 is where a variance taken as E[x²] − E[x]² loses its digits.
  shifted = X + np.float32(1e2)
  scale, bias = np.linspace(0.5, 2, 64), np.linspace(-1, 1, 64)
  module = Norm(ModelConfig(), ComputeConfig())
  params = {"scale": np.float32(scale), "bias": np.float32(bias)}
  output: Any = module.apply({"params": params}, shifted)
  exact = shifted.astype(np.float64)
  exact -= exact.mean(axis=-1, keepdims=True)
  exact /= np.sqrt((exact**2).mean(axis=-1, keepdims=True) + 1e-12)
  np.testing.assert_allclose(output, exact * scale + bias, atol=1e-4, rtol=0)


def test_the_gradients_are_those_of_the_plain_formula():
  draw = np.random.default_rng(1)
  hidden, cotangent = draw.standard_normal((2, 3, 5, 16)).astype(np.float32)
  scale_D, bias_D = draw.standard_normal((2, 16)).astype(np.float32)

  def plain(hidden, scale_D, bias_D):
    centered = hidden - hidden.mean(axis=-1, keepdims=True)
    variance = (centered**2).mean(axis=-1, keepdims=True)
    normal = centered / jnp.sqrt(variance + 0.1)
    return normal * scale_D[None, None] + bias_D[None, None]

  def gradients(function):
    weigh = lambda *inputs: jnp.sum(function(*inputs) * cotangent)
    return jax.jit(jax.grad(weigh, argnums=(0, 1, 2)))(hidden, scale_D, bias_D)

  got = gradients(lambda *inputs: layer_norm(*inputs, 0.1))
  for leaf, expected in zip(got, gradients(plain), strict=True):
    np.testing.assert_allclose(leaf, expected, atol=1e-5, rtol=1e-5)


def test_without_a_bias_it_is_that_of_a_bias_of_zero():
  draw = np.random.default_rng(2)
  hidden, cotangent = draw.standard_normal((2, 3, 5, 16)).astype(np.float32)
  scale_D = draw.standard_normal(16).astype(np.float32)

  def run(bias_D):
    weigh = lambda *inputs: jnp.sum(
      layer_norm(*inputs, bias_D, 0.1) * cotangent
    )
    return jax.jit(jax.value_and_grad(weigh, argnums=(0, 1)))(hidden, scale_D)

  jax.tree.map(
    np.testing.assert_array_equal, run(None), run(np.zeros(16, np.float32))
  )
