# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of filling bins."""

import collections
import itertools

import numpy as np
import pytest

from data_pipelines import bins
from tests.testing.pack_lengths import CAPACITY


def literal_best_fit(lengths, capacity, max_packs):
  """Best-fit decreasing, an example at a time: the contents of the rows."""
  bins = []
  for length in sorted(lengths.tolist(), reverse=True):
    fitting = [
      row
      for row in bins
      if len(row) < max_packs and sum(row) + length <= capacity
    ]
    if fitting:
      max(fitting, key=sum).append(length)
    else:
      bins.append([length])
  return bins


def in_bins(lengths, max_packs, *, exact):
  """The contents of the rows that one of the two ways fills."""
  counts = np.bincount(lengths, minlength=CAPACITY + 1).tolist()
  patterns = bins._Bins(counts, CAPACITY, max_packs, exact=exact).fill()
  return [list(pattern) for pattern, count in patterns for _ in range(count)]


@pytest.mark.parametrize("max_packs", [1, 2, 5, 32])
def test_one_way_is_best_fit_decreasing(lengths, max_packs):
  filled = in_bins(lengths, max_packs, exact=False)
  literal = literal_best_fit(lengths, CAPACITY, max_packs)
  assert len(filled) == len(literal)
  if max_packs == 32:
    # Without a limit on packs only the room decides, so contents agree too.
    fill = lambda rows: collections.Counter(sum(row) for row in rows)
    assert fill(filled) == fill(literal)


@pytest.mark.parametrize("max_packs", [1, 2, 3, 5, 32])
def test_both_ways_put_every_example_into_one_row(lengths, max_packs):
  for exact in (False, True):
    rows = in_bins(lengths, max_packs, exact=exact)
    assert sorted(itertools.chain(*rows)) == sorted(lengths.tolist())
    assert max(map(sum, rows)) <= CAPACITY
    assert max(map(len, rows)) <= max_packs


@pytest.mark.parametrize("max_packs", [1, 2, 3, 5, 32])
def test_the_way_of_fewer_rows_is_taken(lengths, max_packs):
  both = [
    len(in_bins(lengths, max_packs, exact=exact)) for exact in (False, True)
  ]
  counts = np.bincount(lengths, minlength=CAPACITY + 1).tolist()
  filled = bins.fill_bins(counts, CAPACITY, max_packs)
  assert sum(count for _, count in filled) == min(both)
  assert min(both) >= (lengths > CAPACITY // 2).sum()


def test_rows_are_filled_to_the_last_position_where_that_can_be_done():
  """Best fit puts the longest examples together, and leaves three positions."""
  lengths = np.repeat([23, 22, 21, 20], [300, 100, 200, 300])
  best_fit, exact = (
    len(in_bins(lengths, 3, exact=exact)) for exact in (False, True)
  )
  assert exact < best_fit
  full = [sum(row) for row in in_bins(lengths, 3, exact=True)].count(CAPACITY)
  assert full > exact / 2
