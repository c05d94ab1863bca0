# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Flash is the plain path under the same draws, and keeps no pairs."""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ComputeConfig, MeshConfig
from bertjax.model.attention import LayerChoice, LayerInputs, SelfAttention
from bertjax.model.ops import flash_attention, fused_attention
from bertjax.model.ops.dot_product import attend
from bertjax.model.ops.weight_draws import WeightDropout, draw_all, make_seeds
from bertjax.parallel import sharding
from bertjax.parallel.mesh import make_mesh
from tests.bertjax.model.ops.fused_attention_test import (
  assert_close,
  example,
  inside_data,
  on_mesh,
  weigh,
)
from tests.testing.examples import SMALL

flash = functools.partial(flash_attention.flash, interpret="tpu")


def dropout(rows, rate, draws="uint16"):
  numbers = jnp.arange(rows, dtype=jnp.uint32)
  return WeightDropout(make_seeds(jax.random.key(5), numbers, 2), rate, draws)


def pair(
  rows, length, rate, reach=None, draws="uint16", interpret: Any = "tpu"
):
  """Flash and the plain path, under the same draws."""
  drop, bits, near = dropout(rows, rate, draws), None, None
  if rate:
    bits = draw_all(drop.seeds_BH2, length, draws)
  if reach is not None:
    places = np.arange(length)
    near = jnp.asarray(np.abs(places[:, None] - places) <= reach)
    reach = jnp.int32(reach)
  plain = lambda *arrays: attend(*arrays, bits, rate, near)
  ours = functools.partial(flash_attention.flash, interpret=interpret)
  return functools.partial(ours, dropout=drop, reach=reach), plain


@pytest.mark.parametrize(
  ("tile", "length", "dtype", "rate", "reach"),
  [
    # Four tiles, of a length that they do not divide.
    ((128, 128), 250, jnp.float32, 0.1, None),
    ((128, 512), 128, jnp.bfloat16, 0.1, None),
    ((128, 128), 384, jnp.float32, 0.1, 20),
    *(
      pytest.param(*case, marks=pytest.mark.full)
      for case in (
        ((128, 512), 128, jnp.float32, 0.1, None),
        ((128, 512), 77, jnp.float32, 0.5, None),
        ((256, 128), 256, jnp.float32, 0.1, None),
        ((128, 256), 256, jnp.float32, 0.0, None),
      )
    ),
  ],
  ids=[
    "four tiles",
    "bfloat16",
    "window",
    "one tile",
    "odd length",
    "wide tiles",
    "no dropout",
  ],
)
def test_flash_is_the_plain_path_under_the_same_draws(
  monkeypatch, tile, length, dtype, rate, reach
):
  """In value and in all gradients, with packs and with padding alone."""
  monkeypatch.setattr(flash_attention, "_KEYS", tile[0])
  monkeypatch.setattr(fused_attention, "_LARGEST_BLOCK", tile[1])
  arrays = example(3, length, dtype=dtype)
  ours, plain = pair(3, length, rate, reach)
  got, expected = (jax.jit(weigh(each))(*arrays) for each in (ours, plain))
  assert_close(got, expected, 1e-5 if dtype == jnp.float32 else 2e-2)
  # Without a derivative it is another program.
  np.testing.assert_array_equal(jax.jit(ours)(*arrays), got[0])


def test_draws_of_8_bits_are_those_of_the_plain_path():
  arrays = example(2, 128)
  ours, plain = pair(2, 128, 26 / 256, draws="uint8")
  got, expected = (jax.jit(weigh(each))(*arrays) for each in (ours, plain))
  assert_close(got, expected, 1e-5)


def test_the_same_is_dropped_under_any_tile(monkeypatch):
  arrays = example(2, 256)
  found = []
  for tile in ((128, 128), (256, 128), (128, 256)):
    monkeypatch.setattr(flash_attention, "_KEYS", tile[0])
    monkeypatch.setattr(fused_attention, "_LARGEST_BLOCK", tile[1])
    ours, _ = pair(2, 256, 0.5)
    # A function of its own, which no earlier trace serves.
    run = lambda *arrays, ours=ours: ours(*arrays)
    found.append(jax.jit(run)(*arrays))
  for other in found[1:]:
    np.testing.assert_allclose(other, found[0], rtol=1e-5, atol=1e-5)


def test_a_rate_of_zero_is_no_dropout_exactly():
  arrays = example(2, 128)
  without, zero = (
    jax.jit(weigh(functools.partial(flash, dropout=each)))(*arrays)
    for each in (None, dropout(2, 0.0))
  )
  for left, right in zip(zero, without, strict=True):
    np.testing.assert_array_equal(left, right)


def test_what_stands_outside_a_pack_is_invisible_exactly():
  query, key, value, _ = example(2, 128)
  packs = np.repeat([[1, 2]], 2, axis=0).repeat(64, axis=1).astype(np.int32)
  run = jax.jit(functools.partial(flash, dropout=dropout(2, 0.1)))
  before, after = (
    np.asarray(run(query, key, value.at[:, 64:].set(there), packs))
    for there in (0.0, 1e4)
  )
  np.testing.assert_array_equal(after[:, :64], before[:, :64])
  assert not np.array_equal(after[:, 64:], before[:, 64:])


@pytest.fixture(scope="module")
def mesh():
  return make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))


def test_devices_drop_what_one_device_drops(mesh):
  """Rows along data and fsdp, heads along tensor; window and all."""
  ours, plain = pair(8, 128, 0.5, reach=40)
  arrays = example(8, 128)
  expected = jax.jit(weigh(plain))(*arrays)
  arrays = jax.device_put(arrays, sharding.batch_sharding(mesh))
  got = jax.jit(weigh(on_mesh(ours, mesh)))(*arrays)
  assert_close(got, expected, 1e-5)


def test_a_device_drops_by_the_global_number_of_its_rows(mesh):
  """As in a train step, which knows its rows' numbers."""
  arrays = example(8, 128)
  _, plain = pair(8, 128, 0.5)
  expected = jax.jit(weigh(plain))(*arrays)

  def ours(query, key, value, packs):
    first = jax.lax.axis_index("data").astype(jnp.uint32) * jnp.uint32(4)
    numbers = first + jnp.arange(4, dtype=jnp.uint32)
    drop = WeightDropout(make_seeds(jax.random.key(5), numbers, 2), 0.5)
    return flash(query, key, value, packs, dropout=drop)

  arrays = jax.device_put(arrays, sharding.batch_sharding(mesh))
  got = jax.jit(weigh(inside_data(ours, mesh)))(*arrays)
  assert_close(got, expected, 1e-5)


@pytest.mark.parametrize(
  "draws", ["uint16", pytest.param("uint8", marks=pytest.mark.full)]
)
def test_the_model_drops_inside_the_kernel(monkeypatch, draws):
  """What the plain path drops where it is given the kernel's draws."""
  monkeypatch.setattr("bertjax.model.attention.flash", flash)
  monkeypatch.setattr(
    "bertjax.model.attention.draw",
    lambda key, shape, rows_B, dtype: draw_all(
      make_seeds(key, rows_B, shape[1]), shape[3], dtype
    ),
  )
  config = dataclasses.replace(
    SMALL, attention_pattern="window", attention_window=40
  )
  hidden = example(2, 100, heads=1, size=32)[0][:, :, 0]
  inputs = LayerInputs(example(2, 100)[3], jnp.array([3, 1], jnp.uint32))
  choice = LayerChoice(jnp.array(False), jnp.array(False))
  module = lambda name: SelfAttention(
    config, ComputeConfig(attention=name, dropout_draws=draws), False
  )
  params = module("flash").init(
    dict.fromkeys(("params", "dropout"), jax.random.key(0)),
    hidden,
    inputs,
    choice,
  )
  params = nn.unbox(jax.tree.map(lambda leaf: 10.0 * leaf, params))
  run = lambda name: jax.jit(module(name).apply)(
    params, hidden, inputs, choice, rngs={"dropout": jax.random.key(7)}
  )
  assert_close([run("flash")], [run("xla")], 1e-5)


def test_tiles_beyond_a_window_are_not_computed():
  # Two tiles of 512 queries; each touches 5 tiles of 128 keys.
  assert fused_attention.computed_pairs(1024, 64, 128) == 10 * 128 * 512
  assert fused_attention.computed_pairs(1024, None, 128) == 1024**2


def test_nothing_is_kept_for_every_pair_of_positions():
  *states, packs = example(2, 128)
  ours, _ = pair(2, 128, 0.1)
  _, back = jax.vjp(lambda q, k, v: ours(q, k, v, packs), *states)
  # States of 8 numbers a head, where pairs would be 128.
  assert max(leaf.size for leaf in jax.tree.leaves(back)) == 2 * 2 * 128 * 8
