# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Initializers and dropout."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ModelConfig
from bertjax.model.layers import (
  Dropout,
  kernel_init,
  sinusoids,
)

X = np.random.default_rng(0).standard_normal((4, 8, 64)).astype(np.float32)


def drop(x, rate, seed, draws="uint16") -> Any:
  key = jax.random.key(seed)
  rows = jnp.arange(x.shape[0], dtype=jnp.uint32)
  return Dropout(rate, draws).apply(
    {}, x, rows, deterministic=False, rngs={"dropout": key}
  )


def test_sinusoids_tell_distances_and_are_as_wide_as_the_weights():
  config = ModelConfig(initializer_std=0.05)
  init = sinusoids(config, (None, "embed"))
  table_SD = np.asarray(init(jax.random.key(0), (128, 64)).value, np.float64)
  np.testing.assert_allclose(np.sqrt((table_SD**2).mean()), 0.05, rtol=1e-2)
  by_distance = [np.diagonal(table_SD @ table_SD.T, d) for d in range(128)]
  # In parts of a row's own length: far apart they cancel to almost nothing.
  unit = by_distance[0][0]
  for products in by_distance:
    np.testing.assert_allclose(
      products / unit, products[0] / unit, rtol=0, atol=1e-6
    )
  assert by_distance[0][0] > by_distance[1][0] > by_distance[8][0]


def test_kernels_are_cut_at_two_standard_deviations():
  init = kernel_init(ModelConfig(), ("embed", "mlp"))
  kernel = np.asarray(init(jax.random.key(0), (512, 512)).unbox())
  assert np.abs(kernel).max() <= 0.04
  # The standard deviation of a normal of 0.02 that is cut at ±2σ.
  assert kernel.std() == pytest.approx(0.0175925, rel=5e-3)


@pytest.mark.parametrize(
  ("draws", "given"), [("uint16", 6554 / 65536), ("uint8", 26 / 256)]
)
def test_dropout_keeps_the_mean_and_drops_its_share(draws, given):
  ones = jnp.ones((64, 128, 64))
  output = np.asarray(drop(ones, 0.1, 0, draws))
  dropped = (output == 0).mean()
  assert dropped == pytest.approx(given, abs=4 * math.sqrt(0.09 / ones.size))
  assert output.max() == np.float32(1 / (1 - given))
  assert output.mean() == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("draws", ["uint16", "uint8"])
def test_dropout_is_independent_from_place_to_place(draws):
  """Neighbours share no bits: pairs along every axis drop independently."""
  gone = np.asarray(drop(jnp.ones((32, 64, 64)), 0.25, 1, draws)) == 0
  for axis in range(3):
    for step in (1, 2, 3, 4, 8, 16):
      both = (gone & np.roll(gone, step, axis=axis)).mean()
      assert both == pytest.approx(0.0625, abs=5e-3), (axis, step)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 7), (2, 2, 8, 8), (1, 1)])
def test_dropout_takes_any_shape(shape):
  assert drop(jnp.ones(shape), 0.5, 0).shape == shape


def test_dropout_is_a_function_of_its_key():
  first = drop(X, 0.5, 7)
  np.testing.assert_array_equal(first, drop(X, 0.5, 7))
  assert not np.array_equal(first, drop(X, 0.5, 8))


def test_dropout_is_the_same_however_its_batch_is_sharded():
  mesh = jax.make_mesh((8,), ("data",))
  spec = jax.sharding.PartitionSpec("data")
  sharding = jax.sharding.NamedSharding(mesh, spec)
  x = np.tile(X, (2, 1, 1))
  run = lambda x: drop(x, 0.5, 7)
  alone = jax.jit(run)(x)
  spread = jax.jit(run, in_shardings=sharding, out_shardings=sharding)(x)
  assert len(spread.addressable_shards) == 8
  np.testing.assert_array_equal(alone, spread)


@pytest.mark.parametrize(("rate", "deterministic"), [(0.0, False), (0.5, True)])
def test_no_dropout_is_the_identity_and_needs_no_key(rate, deterministic):
  rows = np.arange(len(X), dtype=np.uint32)
  output = Dropout(rate).apply({}, X, rows, deterministic=deterministic)
  np.testing.assert_array_equal(output, X)
