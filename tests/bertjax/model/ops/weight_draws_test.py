# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The draws are fair, never repeated, and the same wherever they are made."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.model.ops import weight_draws
from bertjax.model.ops.random_bits import is_dropped
from bertjax.train.rng import stream

LENGTH, HEADS = 256, 3


def rows(*numbers):
  return jnp.array(numbers, jnp.uint32)


def draw(key, length=LENGTH, row_numbers=(0, 1), dtype="uint16"):
  seeds = weight_draws.make_seeds(key, rows(*row_numbers), HEADS)
  return np.asarray(weight_draws.draw_all(seeds, length, dtype))


@pytest.fixture(scope="module", params=["uint16", "uint8"])
def bits_BHTS(request):
  bits = draw(jax.random.key(0), dtype=request.param)
  assert bits.dtype == request.param
  return bits


def test_every_tile_has_the_draws_of_the_whole(bits_BHTS):
  seeds = weight_draws.make_seeds(jax.random.key(0), rows(0, 1), HEADS)
  seed = (seeds[1, 2, 0], seeds[1, 2, 1])
  for keys, queries in ((128, 128), (256, 128), (128, 256), (256, 32)):
    for first in itertools.product(
      range(0, LENGTH, keys), range(0, LENGTH, queries)
    ):
      tile = weight_draws.draw_tile(
        seed, first, (keys, queries), bits_BHTS.dtype
      )
      np.testing.assert_array_equal(
        tile,
        bits_BHTS[
          1, 2, first[0] : first[0] + keys, first[1] : first[1] + queries
        ],
      )


def test_a_draw_depends_on_neither_the_length_nor_the_other_rows(bits_BHTS):
  shorter = draw(jax.random.key(0), 77, (1,), bits_BHTS.dtype)
  np.testing.assert_array_equal(shorter[0], bits_BHTS[1, :, :77, :77])


def test_no_block_is_drawn_twice(bits_BHTS):
  """The draws of a block are those of keys that are 32 or 16 apart."""
  draws = 8 // bits_BHTS.itemsize
  blocks = bits_BHTS.reshape(2, HEADS, 2, draws, 128 // draws, LENGTH)
  blocks = np.moveaxis(blocks, 3, -1).reshape(-1, draws)
  words = np.ascontiguousarray(blocks).view(np.uint64)
  # 98,304 words of 64 bits: chance would repeat one in 4 · 10⁹ tests.
  assert len(np.unique(words)) == words.size == 2 * HEADS * LENGTH**2 // draws


@pytest.mark.parametrize("rate", [26 / 256, 0.5])
def test_the_rate_holds_for_every_head_query_and_key(bits_BHTS, rate):
  dropped = is_dropped(bits_BHTS, rate).astype(np.float64)
  for axes in ((2, 3), (0, 1, 2), (0, 1, 3), (2,), (3,)):
    counts = dropped.sum(axis=axes)
    drawn = dropped.size // counts.size
    error = (counts - drawn * rate) / np.sqrt(drawn * rate * (1 - rate))
    # The largest of n normal numbers is about √(2 ln n).
    assert np.abs(error).max() < 1.5 + np.sqrt(2 * np.log(counts.size))
    assert counts.size < 100 or 0.85 < error.std() < 1.15


def test_draws_fill_their_range_evenly(bits_BHTS):
  upper = bits_BHTS.astype(np.uint16) >> 8 * (bits_BHTS.itemsize - 1)
  counts = np.bincount(upper.ravel(), minlength=256)
  expected = bits_BHTS.size / 256
  chi_square = ((counts - expected) ** 2 / expected).sum()
  assert 255 - 5 * np.sqrt(510) < chi_square < 255 + 5 * np.sqrt(510)


def test_draws_of_neighbors_heads_rows_layers_and_steps_are_independent(
  bits_BHTS,
):
  def correlation(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]

  pairs = [
    (bits_BHTS[0], bits_BHTS[1]),
    (bits_BHTS[:, 0], bits_BHTS[:, 1]),
    (bits_BHTS[..., :-1], bits_BHTS[..., 1:]),
    (bits_BHTS, bits_BHTS.swapaxes(2, 3)),
  ]
  pairs += [
    (bits_BHTS[:, :, :-apart], bits_BHTS[:, :, apart:])
    for apart in (1, 16, 32, 64, 96, 128)
  ]
  step = stream(0, "dropout", 0)
  others = [
    stream(0, "dropout", 1),
    stream(1, "dropout", 0),
    *jax.random.split(step, 2),
  ]
  of_keys = [draw(key) for key in (step, *others)]
  pairs += itertools.combinations(of_keys, 2)
  for one, other in pairs:
    assert abs(correlation(one, other)) < 5 / np.sqrt(one.size)


def test_keys_of_the_hardware_generator_are_told_apart():
  """Layers and steps differ, although such a key repeats itself."""
  step = stream(0, "dropout", 0, implementation="rbg")
  keys = [step, stream(0, "dropout", 1, implementation="rbg")]
  keys += list(jax.random.split(step, 2))
  seeds = [weight_draws.make_seeds(key, rows(0, 1), HEADS) for key in keys]
  words = np.concatenate([np.asarray(each).reshape(-1, 2) for each in seeds])
  assert len(np.unique(words, axis=0)) == len(words)
