# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The product of hidden states with a kernel, and its derivative."""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.experimental.layout import Layout, with_layout_constraint

Array = jax.Array
Product = Callable[[Array, Array], Array]
# The contracted axes of the left and of the right array.
Contracted = tuple[Sequence[int], Sequence[int]]
# The name by which rematerialization policies find the products with kernels.
PROJECTION = "projection"


def project(inputs: Array, kernel: Array, axes: int) -> Array:
  """Contract the last `axes` axes of `inputs` with the first of `kernel`.

  The product has the dtype of `inputs`, and the gradient of the kernel has the
  dtype of the kernel. The kernel is cast in here, so that the kernel itself is
  kept for the reverse pass, and not a copy.

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
  cast = kernel.astype(inputs.dtype)
  return _contract(inputs, cast, range(inputs.ndim - axes, inputs.ndim))


def _project_forward(
  inputs: Array, kernel: Array, axes: int
) -> tuple[Array, tuple[Array, Array]]:
  return _project(inputs, kernel, axes), (inputs, kernel)


def _project_backward(
  axes: int, saved: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array]:
  inputs, kernel = saved
  lead = inputs.ndim - axes
  contracted = (range(lead, gradient.ndim), range(axes, kernel.ndim))
  return (
    _product(gradient, kernel.astype(inputs.dtype), contracted),
    _kernel_gradient(inputs, gradient, lead).astype(kernel.dtype),
  )


def _kernel_gradient(inputs: Array, gradient: Array, lead: int) -> Array:
  """Sum the outer products over the first `lead` axes of both arrays."""
  if math.prod(inputs.shape[lead:]) <= math.prod(gradient.shape[lead:]):
    return _outer(inputs, gradient, lead)
  outer = _outer(gradient, inputs, lead)
  split = gradient.ndim - lead
  return outer.transpose(*range(split, outer.ndim), *range(split))


def _outer(left: Array, right: Array, lead: int) -> Array:
  """Contract the first `lead` axes of both arrays; `left` is transposed."""

  def plain(left: Array, right: Array) -> Array:
    return _plain_product(left, right, (range(lead), range(lead)))

  def of_copy(left: Array, right: Array) -> Array:
    rows = math.prod(left.shape[:lead])
    copied = with_layout_constraint(
      left.reshape(rows, -1).T, Layout(major_to_minor=(0, 1))
    )
    outer = _wide_product(copied, right.reshape(rows, -1), ((1,), (0,)))
    return outer.reshape(*left.shape[lead:], *right.shape[lead:])

  return _by_platform(plain, of_copy, left, right)


def _contract(left: Array, right: Array, axes: range) -> Array:
  """Contract `axes` of `left` with as many leading axes of `right`."""
  return _product(left, right, (axes, range(len(axes))))


def _product(left: Array, right: Array, axes: Contracted) -> Array:
  return _by_platform(
    functools.partial(_plain_product, axes=axes),
    functools.partial(_wide_product, axes=axes),
    left,
    right,
  )


def _plain_product(left: Array, right: Array, axes: Contracted) -> Array:
  return jax.lax.dot_general(left, right, (axes, ((), ())))


def _wide_product(left: Array, right: Array, axes: Contracted) -> Array:
  """Return the sums in float32, rounded once to the dtype of `left`.

  They are rounded even if the caller wants float32: XLA's CPU compiler would
  fold a transposition that follows the product into it, and has no transposed
  product of bfloat16.
  """
  output = jax.lax.dot_general(
    left, right, (axes, ((), ())), preferred_element_type=jnp.float32
  )
  return output.astype(left.dtype)


def _by_platform(
  plain: Product, on_cpu: Product, left: Array, right: Array
) -> Array:
  """Return the plain product, or that of narrow numbers on a CPU.

  XLA's fast product of bfloat16 on CPUs gives float32 and takes no transposed
  factor; any other is computed in float32, at half of its speed. Elsewhere the
  plain one is as fast, and devices that share its sums exchange them narrow.
  """
  if left.dtype == jnp.float32:
    return plain(left, right)
  return jax.lax.platform_dependent(left, right, cpu=on_cpu, default=plain)


_project.defvjp(_project_forward, _project_backward)
