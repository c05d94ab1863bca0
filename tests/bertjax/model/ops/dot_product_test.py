# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention's derivative is that of autodiff, and keeps less."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config.model import given_rate
from bertjax.model.ops.dot_product import attend

PACKS_BS = np.array([[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 1, 1]], np.int32)


def plain(query, key, value, packs, bits, rate):
  """The same without a derivative of its own: what autodiff makes of it."""
  scores = jnp.einsum("BSHK,BTHK->BHST", query, key)
  inside = packs[:, None, :, None] == packs[:, None, None, :]
  weights = jax.nn.softmax(jnp.where(inside, scores, -1e9), axis=-1)
  if bits is not None:
    dropped = round(rate * 2**16)
    # Bits are keys × queries.
    weights = jnp.where(
      bits.swapaxes(2, 3) < dropped, 0.0, weights * (2**16 / (2**16 - dropped))
    )
  return jnp.einsum("BHST,BTHK->BSHK", weights, value)


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_the_written_derivative_is_the_one_of_autodiff(rate):
  draw = np.random.default_rng(1)
  query, key, value, slope = (
    draw.standard_normal((2, 6, 2, 4)).astype(np.float32) for _ in range(4)
  )
  bits = draw.integers(0, 2**16, (2, 2, 6, 6)).astype(np.uint16)
  bits = jnp.asarray(bits) if rate else None

  def loss(attention, query, key, value):
    context = attention(query, key, value, PACKS_BS, bits, rate)
    return jnp.sum(context * slope)

  expected, ours = (
    jax.value_and_grad(loss, argnums=(1, 2, 3))(each, query, key, value)
    for each in (plain, attend)
  )
  np.testing.assert_allclose(ours[0], expected[0], rtol=1e-5)
  for left, right in zip(ours[1], expected[1], strict=True):
    assert np.abs(left).max() > 0.1
    np.testing.assert_allclose(left, right, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
  ("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 1e-2)]
)
@pytest.mark.parametrize("windowed", [False, True])
def test_a_cpu_attends_in_its_own_order_to_the_same(dtype, tolerance, windowed):
  """Without derivatives; what is saved for them is keys × queries."""
  draw = np.random.default_rng(2)
  states = [
    jnp.asarray(draw.standard_normal((2, 6, 2, 4)), dtype) for _ in range(3)
  ]
  near_TS = np.triu(np.tri(6, k=1, dtype=bool), -2) if windowed else None

  def run(*states):
    return attend(*states, PACKS_BS, None, 0.0, near_TS)

  ours: Any = jax.jit(run)(*states)
  by_keys: Any = jax.jit(lambda *states: jax.vjp(run, *states)[0])(*states)
  assert ours.dtype == dtype
  np.testing.assert_allclose(
    ours.astype(jnp.float32),
    by_keys.astype(jnp.float32),
    atol=tolerance,
    rtol=0,
  )


def test_one_number_a_pair_of_positions_is_kept_for_the_way_back():
  shape = (2, 16, 2, 4)
  packs = jnp.ones((2, 16), jnp.int32)
  bits = jnp.zeros((2, 2, 16, 16), jnp.uint16)
  arrays = [jnp.ones(shape, jnp.bfloat16)] * 3
  _, back = jax.vjp(lambda *qkv: attend(*qkv, packs, bits, 0.1), *arrays)
  pairs = [
    leaf.dtype for leaf in jax.tree.leaves(back) if leaf.size == 2 * 2 * 16 * 16
  ]
  assert pairs == [jnp.bfloat16]


@pytest.mark.parametrize("draws", ["uint16", "uint8"])
def test_dropout_keeps_the_mean_of_what_is_attended_to(draws):
  """256 positions of equal weights, whose draws have each value once."""
  length, rate = 256, given_rate(0.1, draws)
  steps = 2 ** (8 * jnp.dtype(draws).itemsize) // length
  bits_T = (jnp.arange(length) * steps).astype(draws)
  bits_BHTS = jnp.broadcast_to(bits_T[:, None], (1, 1, length, length))
  zeros = jnp.zeros((1, length, 1, 4))
  context: Any = attend(
    zeros, zeros, zeros + 1, jnp.ones((1, length)), bits_BHTS, rate
  )
  # Of 256 values of 16 bits, 26 are below the bound as well.
  kept = 230 / 256 / (1 - rate)
  np.testing.assert_allclose(context, np.full(zeros.shape, kept), rtol=1e-5)
  if draws == "uint8":
    assert kept == 1
