# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Our Threefry is JAX's, and every draw of it is used once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32

from bertjax.config.model import given_rate
from bertjax.model.ops.random_bits import (
  draw,
  is_dropped,
  kept_scale,
  threefry,
  threefry_words,
)


def test_threefry_equals_jax():
  random = np.random.default_rng(0)
  key = random.integers(0, 2**32, 2, dtype=np.uint32)
  count = random.integers(0, 2**32, (2, 1000), dtype=np.uint32)
  ours = threefry((key[0], key[1]), (count[0], count[1]))
  theirs = threefry_2x32(jnp.asarray(key), jnp.asarray(count.ravel()))
  np.testing.assert_array_equal(ours, theirs.reshape(2, 1000))


def test_threefry_equals_the_published_vector():
  # Random123, kat_vectors: threefry2x32, 20 rounds, all bits set.
  ones = jnp.full((), 0xFFFFFFFF, jnp.uint32)
  words = threefry((ones, ones), (ones, ones))
  assert [hex(word) for word in words.tolist()] == ["0x1cb996fc", "0xbb002be7"]


@pytest.mark.parametrize(
  ("word", "expected"),
  [
    (0, ["0x9d1c5ec6", "0x8bd50731"]),
    (2**32 - 1, ["0xfd36d048", "0x2d17272c"]),
  ],
)
def test_fewer_rounds_equal_the_published_vectors(word, expected):
  # Random123, kat_vectors: threefry2x32, 13 rounds.
  full = jnp.full((), word, jnp.uint32)
  found = threefry_words((full, full), (full, full), 13)
  assert [hex(int(each)) for each in found] == expected


def rows(count):
  return jnp.arange(count, dtype=jnp.uint32)


@pytest.mark.parametrize("dtype", ["uint16", "uint8"])
@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
@pytest.mark.parametrize("shape", [(1, 4096), (3, 5), (8, 4, 33, 16)])
def test_bits_have_their_shape_and_no_draw_is_repeated(impl, shape, dtype):
  key = jax.random.key(0, impl=impl)
  bits = np.asarray(draw(key, shape, rows(shape[0]), dtype))
  assert bits.shape == shape
  assert bits.dtype == dtype
  wide = np.asarray(draw(key, (64, 64, 16), rows(64), dtype))
  # 8192 words of 64 bits or more: a repeated block would be seen, chance would
  # not.
  words = wide.reshape(-1).view(np.uint64)
  assert len(np.unique(words)) == words.size
  middle = 2 ** (8 * wide.dtype.itemsize - 1)
  assert wide.mean() == pytest.approx(middle, rel=0.01)


def test_both_widths_are_the_bits_of_the_same_blocks():
  key = jax.random.key(3)
  halves = np.asarray(draw(key, (2, 8), rows(2)))
  parts = np.asarray(draw(key, (2, 16), rows(2), "uint8"))
  assert sorted(halves.tobytes()) == sorted(parts.tobytes())


@pytest.mark.parametrize("dtype", ["uint16", "uint8"])
def test_rows_get_the_same_bits_wherever_they_are_computed(dtype):
  """What counts is the number of a row, not its place in an array."""
  key = jax.random.key(3)
  many = draw(key, (5, 8, 16), rows(5), dtype)
  some = draw(key, (2, 8, 16), jnp.array([4, 1], jnp.uint32), dtype)
  np.testing.assert_array_equal(some, many[np.array([4, 1])])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.013])
@pytest.mark.parametrize("dtype", ["uint16", "uint8"])
def test_a_rate_is_that_of_all_values_and_the_mean_is_exact(dtype, rate):
  """Over all values that a draw can have, each of them once."""
  given = given_rate(rate, dtype)
  values = jnp.arange(2 ** (8 * jnp.dtype(dtype).itemsize)).astype(dtype)
  dropped = np.asarray(is_dropped(values, given))
  assert dropped.mean() == given
  assert abs(given - rate) <= 0.5 / values.size
  assert (~dropped).mean() * kept_scale(given) == pytest.approx(1, rel=1e-15)
