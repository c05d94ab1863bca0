# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The product with a kernel, whichever factor of its gradient is wider."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.model.ops.projection import project


@pytest.mark.parametrize(
  ("inputs", "kernel", "axes"),
  [
    ((2, 3, 4), (4, 7), 1),  # the output is wider
    ((2, 3, 7), (7, 4), 1),  # the inputs are wider
    ((2, 3, 4), (4, 2, 5), 1),  # into heads
    ((2, 3, 2, 5), (2, 5, 4), 2),  # out of heads
  ],
)
def test_a_projection_and_its_gradients_are_those_of_tensordot(
  inputs, kernel, axes
):
  draw = np.random.default_rng(0)
  values = [
    jnp.asarray(draw.standard_normal(shape), jnp.float32)
    for shape in (inputs, kernel)
  ]
  run = lambda x, w: project(x, w, axes)
  reference = lambda x, w: jnp.tensordot(x, w, axes)
  (got, pull_back), (expected, reference_back) = (
    jax.vjp(function, *values) for function in (run, reference)
  )
  np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
  cotangent = jnp.asarray(draw.standard_normal(got.shape), jnp.float32)
  for left, right in zip(
    pull_back(cotangent), reference_back(cotangent), strict=True
  ):
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)
