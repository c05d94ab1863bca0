# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Our Threefry is JAX's, and every draw of it is used once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32

from bertjax.model.ops.random_bits import bits16, threefry


def test_threefry_equals_jax():
  draw = np.random.default_rng(0)
  key = draw.integers(0, 2**32, 2, dtype=np.uint32)
  count = draw.integers(0, 2**32, (2, 1000), dtype=np.uint32)
  ours = threefry((key[0], key[1]), (count[0], count[1]))
  theirs = threefry_2x32(jnp.asarray(key), jnp.asarray(count.ravel()))
  np.testing.assert_array_equal(ours, theirs.reshape(2, 1000))


def test_threefry_equals_the_published_vector():
  # Random123, kat_vectors: threefry2x32, 20 rounds, all bits set.
  ones = jnp.full((), 0xFFFFFFFF, jnp.uint32)
  words = threefry((ones, ones), (ones, ones))
  assert [hex(word) for word in words.tolist()] == ["0x1cb996fc", "0xbb002be7"]


def rows(count):
  return jnp.arange(count, dtype=jnp.uint32)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
@pytest.mark.parametrize("shape", [(1, 4096), (3, 5), (8, 4, 33, 16)])
def test_bits_have_their_shape_and_no_draw_is_repeated(impl, shape):
  bits = np.asarray(bits16(jax.random.key(0, impl=impl), shape, rows(shape[0])))
  assert bits.shape == shape
  assert bits.dtype == np.uint16
  wide = np.asarray(bits16(jax.random.key(0, impl=impl), (64, 64, 8), rows(64)))
  # 8192 words of 64 bits: a repeated block would be seen, chance would not.
  words = wide.reshape(-1, 4).view(np.uint64)
  assert len(np.unique(words)) == words.size
  assert wide.mean() == pytest.approx(2**15, rel=0.01)


def test_rows_get_the_same_bits_wherever_they_are_computed():
  """What counts is the number of a row, not its place in an array."""
  key = jax.random.key(3)
  many = bits16(key, (5, 8, 16), rows(5))
  some = bits16(key, (2, 8, 16), jnp.array([4, 1], jnp.uint32))
  np.testing.assert_array_equal(some, many[np.array([4, 1])])
