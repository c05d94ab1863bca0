# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The product with a kernel, whichever factor of its gradient is wider."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.model.ops.projection import project

SHAPES = pytest.mark.parametrize(
  ("inputs", "kernel", "axes"),
  [
    ((2, 3, 4), (4, 7), 1),  # the output is wider
    ((2, 3, 7), (7, 4), 1),  # the inputs are wider
    ((64, 128), (128, 32), 1),  # as large as compilers have kernels for
    ((2, 3, 4), (4, 2, 5), 1),  # into heads
    ((2, 3, 2, 5), (2, 5, 4), 2),  # out of heads
  ],
)


def draw(seed, shape):
  """Normal numbers that bfloat16 has as well."""
  drawn = np.random.default_rng(seed).standard_normal(shape)
  return jnp.asarray(drawn, jnp.bfloat16)


def differentiate(function, dtype, inputs, kernel):
  """The output and both gradients, for a cotangent that is drawn."""
  values = draw(0, inputs).astype(dtype), draw(1, kernel).astype(dtype)

  @jax.jit
  def run(*values):
    output, pull_back = jax.vjp(function, *values)
    return output, *pull_back(draw(2, output.shape).astype(output.dtype))

  return run(*values)


@SHAPES
def test_a_projection_and_its_gradients_are_those_of_tensordot(
  inputs, kernel, axes
):
  got, expected = (
    differentiate(function, jnp.float32, inputs, kernel)
    for function in (
      lambda x, w: project(x, w, axes),
      lambda x, w: jnp.tensordot(x, w, axes),
    )
  )
  np.testing.assert_allclose(got[0], expected[0], rtol=1e-6, atol=1e-6)
  for left, right in zip(got[1:], expected[1:], strict=True):
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


@SHAPES
def test_a_projection_of_bfloat16_is_summed_in_float32_and_rounded_once(
  inputs, kernel, axes
):
  run = lambda x, w: project(x, w, axes)
  narrow, wide = (
    differentiate(run, dtype, inputs, kernel)
    for dtype in (jnp.bfloat16, jnp.float32)
  )
  for got, exact in zip(narrow, wide, strict=True):
    assert got.dtype == jnp.bfloat16
    # Half a unit in the last of eight places, and the sum's own error.
    np.testing.assert_allclose(
      got.astype(jnp.float32), exact, rtol=2.0**-8, atol=1e-6
    )


@SHAPES
def test_the_gradient_of_a_kernel_is_in_the_dtype_of_the_kernel(
  inputs, kernel, axes
):
  def run(x, w):
    return project(x.astype(jnp.bfloat16), w, axes)

  output, _, got = differentiate(run, jnp.float32, inputs, kernel)
  _, _, narrow = differentiate(run, jnp.bfloat16, inputs, kernel)
  assert (output.dtype, got.dtype) == (jnp.bfloat16, jnp.float32)
  np.testing.assert_array_equal(got, narrow.astype(jnp.float32))
