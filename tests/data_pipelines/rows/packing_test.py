# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of packing."""

import numpy as np
import pytest

from data_pipelines.host_rng import HostRng
from data_pipelines.rows import packing
from tests.testing.pack_lengths import CAPACITY


def unpack(order, sizes):
  return np.split(order, np.cumsum(sizes)[:-1])


@pytest.mark.parametrize("max_packs", [1, 2, 5, 32])
def test_every_example_is_in_one_row_that_holds_it(lengths, max_packs):
  order, sizes = packing.pack_examples(
    lengths, CAPACITY, max_packs, HostRng("p")
  )
  assert sorted(order.tolist()) == list(range(len(lengths)))
  assert sizes.sum() == len(lengths)
  assert sizes.min() >= 1
  assert sizes.max() <= max_packs
  for row in unpack(order, sizes):
    assert lengths[row].sum() <= CAPACITY


@pytest.mark.parametrize("seq_length", [128, 512])
def test_sentences_of_any_length_fill_rows(seq_length):
  """Where the mean length times the packs is twice a row or more."""
  rng = np.random.default_rng(seq_length)
  pairs = np.minimum(5 + rng.poisson(rng.gamma(6, 5, 30_000)), 128)
  packs = packing.choose_packs(seq_length, [pairs], 3)
  assert packs * pairs.mean() >= 2 * seq_length
  rows = packing.count_rows(pairs, seq_length, packs)
  assert pairs.sum() / rows / seq_length >= 0.995


def test_neighbours_and_order_of_rows_are_random(lengths):
  if len(lengths) == 1:
    return
  first, again, other = (
    packing.pack_examples(lengths, CAPACITY, 5, HostRng("p", epoch))
    for epoch in (0, 0, 1)
  )
  np.testing.assert_array_equal(first[0], again[0])
  assert (first[0] != other[0]).mean() > 0.9
  fills = [lengths[row].sum() for row in unpack(*first)]
  assert fills != sorted(fills)
  assert fills != sorted(fills, reverse=True)


def test_packs_are_twice_what_fits_on_average_within_bounds():
  choose = lambda seq_length, *lengths: packing.choose_packs(
    seq_length, [np.array(lengths)], 3
  )
  assert choose(128, *[128] * 50) == 2
  assert choose(128, *[100] * 50) == 3
  assert choose(512, *[5] * 500) == packing.MAX_PACKS
  assert choose(8, 8) == 2
  assert choose(8, 3) == 2


def test_more_packs_are_chosen_as_long_as_rows_get_fuller():
  rng = np.random.default_rng(0)
  blocks = [np.minimum(3 + rng.geometric(1 / 300, 4000), 512) for _ in "ab"]

  def efficiency(packs):
    rows = sum(packing.count_rows(lengths, 512, packs) for lengths in blocks)
    return sum(map(np.sum, blocks)) / rows / 512

  packs = packing.choose_packs(512, blocks, 3)
  tokens, count = sum(map(np.sum, blocks)), sum(map(len, blocks))
  assert 2 * 512 * count / tokens < packs < packing.MAX_PACKS
  assert efficiency(packs) >= 0.995 > efficiency(packs - 1)
  # Where no example leaves room for another, more packs would be for nothing.
  assert packing.choose_packs(512, [np.full(100, 400)], 3) == 3


@pytest.mark.parametrize("max_packs", [1, 2, 5, 32])
def test_rows_are_counted_without_being_made(lengths, max_packs):
  _, sizes = packing.pack_examples(lengths, CAPACITY, max_packs, HostRng("p"))
  assert packing.count_rows(lengths, CAPACITY, max_packs) == len(sizes)
