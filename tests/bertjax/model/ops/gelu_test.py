# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Both GELUs and their derivatives against definitions in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ModelConfig
from bertjax.model.layers import activation

BY_HAND = {
  "gelu": lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))),
  "gelu_tanh": lambda x: (
    0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
  ),
}


@pytest.mark.parametrize(("name", "by_hand"), BY_HAND.items(), ids=BY_HAND)
def test_both_flavors_of_gelu_equal_their_definition(name, by_hand):
  x = np.linspace(-8, 8, 1001, dtype=np.float32)
  output = activation(ModelConfig(activation=name))(jnp.asarray(x))
  np.testing.assert_allclose(output, np.vectorize(by_hand)(x), atol=1e-6)


@pytest.mark.parametrize(("name", "by_hand"), BY_HAND.items(), ids=BY_HAND)
def test_the_derivative_is_the_slope_of_the_definition(name, by_hand):
  x = np.linspace(-8, 8, 1001, dtype=np.float32)
  output = jax.vmap(jax.grad(activation(ModelConfig(activation=name))))(x)
  near, far = (
    np.vectorize(by_hand)(x.astype(np.float64) + step) for step in (-1e-4, 1e-4)
  )
  np.testing.assert_allclose(output, (far - near) / 2e-4, atol=1e-5)
