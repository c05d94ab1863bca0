# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The product of hidden states with a kernel, and its derivative."""

import functools
import math

import jax
from jax.ad_checkpoint import checkpoint_name

Array = jax.Array
# The name by which rematerialization policies find the products with kernels.
PROJECTION = "projection"


def project(inputs: Array, kernel: Array, axes: int) -> Array:
  """Contract the last `axes` axes of `inputs` with the first of `kernel`.

  The kernel's gradient is a product of which one factor must be transposed.
  This transposes the narrower one. Autodiff always transposes the gradient of
  the output, and where that is the wider one, the copy and the product take
  three times as long on a CPU.
  """
  output = _project(inputs, kernel, axes)
  # Named out here: policies do not see into a function with a custom vjp.
  return checkpoint_name(output, PROJECTION)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _project(inputs: Array, kernel: Array, axes: int) -> Array:
  return _contract(inputs, kernel, range(inputs.ndim - axes, inputs.ndim))


def _project_forward(
  inputs: Array, kernel: Array, axes: int
) -> tuple[Array, tuple[Array, Array]]:
  return _project(inputs, kernel, axes), (inputs, kernel)


def _project_backward(
  axes: int, saved: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array]:
  inputs, kernel = saved
  lead = inputs.ndim - axes
  return (
    jax.lax.dot_general(
      gradient,
      kernel,
      ((range(lead, gradient.ndim), range(axes, kernel.ndim)), ((), ())),
    ),
    _kernel_gradient(inputs, gradient, lead),
  )


def _kernel_gradient(inputs: Array, gradient: Array, lead: int) -> Array:
  """Sum the outer products over the first `lead` axes of both arrays."""
  rows = range(lead)
  if math.prod(inputs.shape[lead:]) <= math.prod(gradient.shape[lead:]):
    return _contract(inputs, gradient, rows)
  outer = _contract(gradient, inputs, rows)
  split = gradient.ndim - lead
  return outer.transpose(*range(split, outer.ndim), *range(split))


def _contract(left: Array, right: Array, axes: range) -> Array:
  """Contract `axes` of `left` with as many leading axes of `right`."""
  return jax.lax.dot_general(left, right, ((axes, range(len(axes))), ((), ())))


_project.defvjp(_project_forward, _project_backward)
