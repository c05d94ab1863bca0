# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Windows in splash attention: the plain path's, in layers that have them."""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ComputeConfig
from bertjax.model.attention import LayerChoice, LayerInputs, SelfAttention
from bertjax.model.ops import fused_attention
from bertjax.parallel import sharding
from tests.bertjax.model.ops.fused_attention_test import (
  alone,
  assert_close,
  example,
  inside_data,
  mesh,
  on_mesh,
  plain,
  splash,
  weigh,
)
from tests.testing.examples import SMALL, equations

__all__ = ["mesh"]  # a fixture


@pytest.mark.parametrize(
  ("block", "length", "reach", "dtype", "tolerance"),
  [
    (512, 128, 0, jnp.float32, 1e-5),
    (512, 128, 3, jnp.bfloat16, 2e-2),
    (128, 256, 5, jnp.float32, 1e-5),
    # A window that ends where a tile ends, and one that is longer.
    (128, 384, 127, jnp.float32, 1e-5),
    (128, 384, 128, jnp.float32, 1e-5),
    (512, 128, 500, jnp.float32, 1e-5),
  ],
)
def test_windows_of_splash_are_those_of_the_plain_path(
  monkeypatch, block, length, reach, dtype, tolerance
):
  """Of context and gradients, whatever is packed into a row."""
  monkeypatch.setattr(fused_attention, "_LARGEST_BLOCK", block)
  arrays = example(3, length, dtype=dtype)
  local = fused_attention.Window(reach, is_global=False)
  got = jax.jit(weigh(functools.partial(splash, window=local)))(*arrays)
  expected = jax.jit(weigh(functools.partial(plain, reach=reach)))(*arrays)
  if reach == 0:
    # Each position attends to itself, whatever queries and keys are.
    zeros = jnp.zeros_like(arrays[0])
    for left in (*got[1:3], *expected[1:3]):
      np.testing.assert_allclose(left, zeros, atol=1e-4)
    got, expected = (got[0], got[3]), (expected[0], expected[3])
  assert_close(got, expected, tolerance)


@pytest.mark.parametrize("reach", [1, 40])
def test_the_last_key_of_a_window_is_seen_and_the_next_one_is_not(reach):
  query, key, value, _ = example(1, 128)
  packs = jnp.ones((1, 128), jnp.int32)
  local = fused_attention.Window(reach, is_global=False)
  run = jax.jit(functools.partial(splash, window=local))
  before = np.asarray(run(query, key, value, packs))
  after = np.asarray(run(query, key, value.at[:, 64].add(1e3), packs))
  changed_S = np.abs(after - before)[0].max(axis=(1, 2)) > 0
  np.testing.assert_array_equal(
    np.flatnonzero(changed_S), np.arange(64 - reach, 65 + reach)
  )


def test_a_kernel_works_on_the_tiles_that_a_window_touches():
  assert fused_attention.computed_pairs(2048) == 2048**2
  assert fused_attention.computed_pairs(2048, 64) == 10 * 512**2
  assert fused_attention.computed_pairs(2048, 1) == 10 * 512**2
  assert fused_attention.computed_pairs(2048, 0) == 4 * 512**2
  # Reaching 513 positions back, the first of a tile sees two tiles before.
  assert fused_attention.computed_pairs(2048, 512) == 10 * 512**2
  assert fused_attention.computed_pairs(2048, 513) == 14 * 512**2
  # The kernel's own schedule, forward.
  local = fused_attention.Window(64, is_global=False)
  trace = jax.make_jaxpr(functools.partial(splash, window=local))(
    *jax.tree.map(
      lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype),
      example(1, 2048, heads=1),
    )
  )
  grids = [
    equation.params["grid_mapping"].grid
    for equation in equations(trace.jaxpr)
    if equation.primitive.name == "pallas_call"
  ]
  # Of four tiles of keys in a row of tiles, at most three are touched.
  assert sorted(grid[-1] for grid in grids) == [3, 4]


def module(name, window=16):
  config = dataclasses.replace(
    SMALL,
    attention_dropout_rate=0.0,
    attention_pattern="window",
    attention_window=window,
  )
  return SelfAttention(config, ComputeConfig(attention=name), True)


def states():
  rows_B = jnp.arange(8, dtype=jnp.uint32)
  hidden_BSD = example(8, 128, heads=1, size=32)[0][:, :, 0]
  return hidden_BSD, LayerInputs(example(8, 128)[3], rows_B)


def init(name):
  hidden_BSD, inputs = states()
  few = LayerInputs(inputs.packs_BS[:1, :3], inputs.rows_B[:1])
  params = module(name).init(
    jax.random.key(0), hidden_BSD[:1, :3], few, LayerChoice(True, True)
  )
  return nn.unbox(jax.tree.map(lambda leaf: 10.0 * leaf, params))


@pytest.mark.parametrize(
  ("placed", "window"),
  [
    (alone, 16),
    (on_mesh, 17),
    pytest.param(inside_data, 16, marks=pytest.mark.full),
  ],
)
def test_each_layer_of_a_model_has_its_own_pattern_by_the_kernel(
  monkeypatch, mesh, placed, window
):
  """Values and gradients of layers in a scan, the first of which sees all."""
  monkeypatch.setattr("bertjax.model.attention.KERNELS", {"splash": splash})
  params, (hidden_BSD, inputs) = init("splash"), states()
  arrays = (hidden_BSD, inputs.packs_BS, inputs.rows_B, inputs.rows_B)
  if placed is not alone:
    arrays = jax.device_put(arrays, sharding.batch_sharding(mesh))
  choices_L = LayerChoice(np.array([True, False]), np.array([True, False]))

  def run(name):
    def attend(hidden_BSD, packs_BS, rows_B, _):
      def layer(hidden_BSD, choice):
        read = LayerInputs(packs_BS, rows_B)
        attended: Any = module(name, window).apply(
          params, hidden_BSD, read, choice
        )
        return hidden_BSD + attended, attended

      return jax.lax.scan(layer, hidden_BSD, choices_L)[1].swapaxes(0, 1)

    def loss(hidden_BSD, *others):
      context = placed(attend, mesh)(hidden_BSD, *others)
      return jnp.sum(jnp.sin(context)), context

    gradient, context = jax.jit(jax.grad(loss, has_aux=True))(*arrays)
    return context[:, 0], context[:, 1], gradient

  got, expected = run("splash"), run("xla")
  assert_close(got, expected, 1e-5)


def test_a_kernel_with_windows_keeps_no_pair_and_no_second_context():
  """Of two patterns, one runs: what one keeps has the place of the other's."""
  *states, packs = example(2, 128)

  def kept(window):
    attend = functools.partial(splash, window=window)
    _, back = jax.vjp(lambda q, k, v: attend(q, k, v, packs), *states)
    return sum(leaf.size for leaf in jax.tree.leaves(back))

  whole = kept(None)
  either = kept(fused_attention.Window(8, jnp.array(True)))
  # And a few numbers about tiles.
  assert either <= 1.1 * whole
