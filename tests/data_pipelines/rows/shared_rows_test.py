# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Blocks and rows are shared out evenly, each to one lane."""

import numpy as np
import pytest

from data_pipelines.rows.rows import Rows
from data_pipelines.rows.shared_rows import (
  deal_blocks,
  level,
  share_rows,
  spread,
)


def plan(size, block):
  one = np.ones(size, np.int64)
  keys = np.stack((block * one, np.arange(size)), axis=1)
  return Rows(one, keys, one, one, one, one, one, one)


@pytest.mark.parametrize("count", [0, 1, 5, 17, 100])
@pytest.mark.parametrize(
  "begins", [[0], [0, 0, 0], [3, 9, 4, 4], [0, 50, 2], [7, 7, 6, 7]]
)
def test_the_next_row_is_for_the_lane_that_is_first_in_the_run(begins, count):
  ends = list(begins)
  for _ in range(count):
    following = [row * len(ends) + lane for lane, row in enumerate(ends)]
    ends[int(np.argmin(following))] += 1
  assert level(np.array(begins), count).tolist() == ends


def test_each_row_is_for_one_lane_and_all_blocks_are_begun():
  plans = [plan(40, 0), plan(20, 1), plan(10, 2)]
  shared = share_rows(plans, np.array([3, 5, 4]))
  parts = [shared.of(lane) for lane in range(3)]
  taken = [
    tuple(key)
    for part in parts
    for key in part.select(np.arange(len(part))).keys_E2.tolist()
  ]
  assert len(set(taken)) == len(taken) == 70
  assert (shared.end_G - shared.begin_G).tolist() == list(map(len, parts))
  assert np.ptp(shared.end_G) <= 1
  # Any seventh of the order has a seventh of each block.
  for part in parts:
    blocks = part.select(np.arange(7)).keys_E2[:, 0]
    assert set(blocks.tolist()) == {0, 1, 2}


def test_members_of_groups_are_mixed_evenly():
  order = spread([6, 3, 0, 1])
  assert sorted(order.tolist()) == list(range(10))
  assert [int(np.searchsorted([6, 9], at, "right")) for at in order] == [
    *(0, 1, 0, 0, 1, 2, 0, 0, 1, 0)
  ]


@pytest.mark.parametrize("lanes", [1, 3, 8, 64])
def test_lanes_have_as_much_text_of_their_own(lanes):
  generator = np.random.default_rng(lanes)
  tokens = generator.integers(500, 1500, 40 * lanes + 5 % lanes)
  order = generator.permutation(len(tokens))
  dealt = deal_blocks(order, tokens, lanes)
  own = 39 * lanes
  np.testing.assert_array_equal(dealt[own:], order[own:])
  for first in range(0, own, lanes):
    turn = slice(first, first + lanes)
    assert sorted(dealt[turn]) == sorted(order[turn])
  sums = tokens[dealt[:own]].reshape(-1, lanes).sum(axis=0)
  assert np.ptp(sums) <= 1000
