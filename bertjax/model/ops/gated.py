# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The product of a gate and what it lets through, with its derivative.

Autodiff would keep four arrays of this size for the backward pass: the
activation, its slope, what the gate multiplies, and the product, which the next
kernel reads. This keeps both inputs and the product, and writes two arrays less
in the forward pass; the activation is computed again.
"""

import functools
from collections.abc import Callable

import jax

Array = jax.Array


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def gated(
  activation: Callable[[Array], Array], gate: Array, inputs: Array
) -> Array:
  """Return activation(gate) · inputs (Shazeer, 2020), elementwise."""
  return activation(gate) * inputs


def _forward(
  activation: Callable[[Array], Array], gate: Array, inputs: Array
) -> tuple[Array, tuple[Array, Array]]:
  return gated(activation, gate, inputs), (gate, inputs)


def _backward(
  activation: Callable[[Array], Array],
  saved: tuple[Array, Array],
  gradient: Array,
) -> tuple[Array, Array]:
  gate, inputs = saved
  open_share, back = jax.vjp(activation, gate)
  (gate_gradient,) = back(gradient * inputs)
  return gate_gradient, gradient * open_share


gated.defvjp(_forward, _backward)
