# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Dropout in the kernel costs neither bytes nor products nor memory."""

import functools
import re

import jax
import jax.numpy as jnp
import pytest
from jax.experimental import pallas as pl

from benchmarks import kernel_traffic
from bertjax.model.ops.flash_attention import flash
from bertjax.model.ops.fused_attention import splash
from bertjax.model.ops.weight_draws import WeightDropout

small = functools.partial(kernel_traffic.attention_gradients, rows=2, heads=2)


def double(source, target):
  target[...] = 2.0 * source[...] + jnp.dot(source[...], source[...])


def test_blocks_are_counted_when_they_change_and_work_at_every_step():
  """A matrix of 4 blocks, each read once for two columns of the grid."""
  block = pl.BlockSpec((8, 8), lambda i, j: (i, 0))
  run = pl.pallas_call(
    double,
    grid=(4, 2),
    in_specs=[block],
    out_specs=block,
    out_shape=jax.ShapeDtypeStruct((32, 8), jnp.float32),
  )
  shape = jax.ShapeDtypeStruct((32, 8), jnp.float32)
  found = kernel_traffic.count(lambda array: 3.0 * run(array), shape)
  assert found == kernel_traffic.Traffic(
    hbm_bytes=2 * 32 * 8 * 4, flops=8 * 2 * 8**3, vector_ops=8 * 2 * 64
  )


def test_a_loop_of_unknown_bounds_is_not_counted():
  _, (states, _, packs, _) = small("flash", 128)
  near = lambda q, k, v, packs, reach: flash(q, k, v, packs, reach=reach)
  reach = jax.ShapeDtypeStruct((), jnp.int32)
  with pytest.raises(ValueError, match="bounds that only a run knows"):
    kernel_traffic.count(near, *states, packs, reach)


@pytest.mark.parametrize("length", [512, 1024])
def test_flash_with_dropout_costs_no_more_than_splash_without(length):
  splash_does, flash_does = (
    kernel_traffic.count(run, *shapes)
    for run, shapes in (small(name, length) for name in ("splash", "flash"))
  )
  assert splash_does.flops == 2 * 2 * length**2 * 64 * 2 * 7
  assert flash_does.flops <= 1.02 * splash_does.flops
  assert flash_does.hbm_bytes <= 1.02 * splash_does.hbm_bytes


def test_flash_on_a_gpu_costs_two_products_more_and_no_bytes():
  """Of keys and values, and of queries: each gradient has a kernel."""
  splash_does, flash_does = (
    kernel_traffic.count(run, *shapes)
    for run, shapes in (
      small(name, 512) for name in ("splash", "flash on a GPU")
    )
  )
  assert 7 * flash_does.flops == 9 * splash_does.flops
  assert flash_does.hbm_bytes <= 1.02 * splash_does.hbm_bytes
  state = 2 * 2 * 512 * 64 * 2
  # Forward 4 states; 6 for queries; 6 for keys and values. A number of 4 bytes
  # a position is written twice and read three times, packs are read thrice.
  numbers = 2 * 512 * 4 * (2 * 5 + 3)
  assert flash_does.hbm_bytes == 16 * state + numbers + 3 * 2 * 2 * 8
  # 8 tiles of queries, twice, and 4 groups of keys; each reads a row of two
  # states beside its own tiles.
  tiles = (2 + 4 + 4) * state
  rows = (8 + 8 + 4) * 2 * state
  assert flash_does.cache_bytes > tiles + rows
  assert flash_does.cache_bytes < 1.1 * (tiles + rows)


def test_flash_keeps_no_more_for_the_way_back_than_splash():
  _, (states, _, packs, seeds) = small("splash", 512)

  def kept(attend):
    back = jax.eval_shape(
      lambda states, packs, seeds: jax.vjp(
        lambda *states: attend(*states, packs, seeds), *states
      )[1],
      states,
      packs,
      seeds,
    )
    return sum(
      leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(back)
    )

  with_splash = kept(lambda q, k, v, packs, _: splash(q, k, v, packs))
  with_flash = kept(
    lambda q, k, v, packs, seeds: flash(
      q, k, v, packs, dropout=WeightDropout(seeds, 0.1)
    )
  )
  # Beside the seeds, 8 bytes a head, the same: states, context, denominators.
  assert with_flash <= 1.001 * with_splash


def test_the_table_has_a_row_for_each_kernel(capsys, monkeypatch):
  monkeypatch.setattr(kernel_traffic, "LENGTHS", (128,))
  monkeypatch.setattr(kernel_traffic, "attention_gradients", small)
  kernel_traffic.main([])
  rows = re.findall(r"^\| 128 \| ([^|]+) \|", capsys.readouterr().out, re.M)
  assert rows == list(kernel_traffic.KERNELS)
