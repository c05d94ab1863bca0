# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A gate is what autodiff makes of it, and keeps its inputs only."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.model.layers import ACTIVATIONS
from bertjax.model.ops.gated import gated

DRAW = np.random.default_rng(0)
GATE, INPUTS, SLOPE = (
  jnp.asarray(DRAW.standard_normal((3, 5, 8)), jnp.float32) for _ in range(3)
)


def product(act, gate, inputs):
  return act(gate) * inputs


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_gate_and_its_gradients_are_those_of_autodiff(name, dtype):
  arrays = GATE.astype(dtype), INPUTS.astype(dtype)

  def run(form):
    output: Any
    output, back = jax.vjp(
      lambda *each: form(ACTIVATIONS[name], *each), *arrays
    )
    return output, *back(SLOPE.astype(dtype))

  for got, expected in zip(run(gated), run(product), strict=True):
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_gate_keeps_its_inputs_and_no_other_array(name):
  _, back = jax.vjp(
    lambda *arrays: gated(ACTIVATIONS[name], *arrays), GATE, INPUTS
  )
  kept = [leaf for leaf in jax.tree.leaves(back) if leaf.ndim]
  assert len(kept) == 2
  for leaf, given in zip(kept, (GATE, INPUTS), strict=True):
    np.testing.assert_array_equal(leaf, given)
