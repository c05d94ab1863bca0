# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every window stands whole in one pack of one row."""

import itertools

import numpy as np
import pytest

from bertjax.batch import Shape
from data_pipelines.tasks import packing

LENGTH = 32


@pytest.mark.parametrize("longest", [3, 10, LENGTH])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_no_windows_overlap_or_leave_their_row(longest, count):
  length_N = np.random.default_rng(count).integers(3, longest + 1, count)
  layout = packing.pack(length_N, LENGTH)
  taken_BS = np.zeros((layout.shape.rows, LENGTH), np.int64)
  for row, start, length in zip(
    layout.row_N, layout.start_N, length_N, strict=True
  ):
    assert start + length <= LENGTH
    taken_BS[row, start : start + length] += 1
  assert taken_BS.max() == 1
  packs = {*zip(layout.row_N.tolist(), layout.pack_N.tolist(), strict=True)}
  assert len(packs) == count
  assert layout.pack_N.max() + 1 == layout.shape.packs <= packing.MAX_PACKS
  # A row is begun only where no other has room.
  assert layout.shape.rows <= 1 + 2 * length_N.sum() // LENGTH


def test_arrays_follow_their_windows():
  arrays = {
    "tokens_BS": np.asarray([[1, 2, 3, 0], [4, 5, 0, 0], [7, 8, 0, 0]]),
    "packs_BS": np.asarray([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]]),
    "positions_BS": np.asarray([[0, 1, 2, 0], [0, 1, 0, 0], [0, 1, 0, 0]]),
    "starts_BR": np.zeros((3, 1), np.int32),
    "label_BR": np.asarray([[10], [11], [12]]),
    "target_BRC": np.asarray([[[1, 2]], [[3, 4]], [[5, 6]]]),
  }
  windows_N, length_N = np.asarray([2, 0, 1]), np.asarray([2, 3, 2])
  layout = packing.pack(length_N, 4)
  batch = packing.fill(arrays, windows_N, length_N, layout, Shape(3, 2), 4)
  assert batch["tokens_BS"].tolist() == [[7, 8, 4, 5], [1, 2, 3, 0], [0] * 4]
  assert batch["packs_BS"].tolist() == [[1, 1, 2, 2], [1, 1, 1, 0], [0] * 4]
  assert batch["positions_BS"].tolist() == [[0, 1, 0, 1], [0, 1, 2, 0], [0] * 4]
  assert batch["starts_BR"].tolist() == [[0, 2], [0, 0], [0, 0]]
  assert batch["label_BR"].tolist() == [[12, 11], [10, 0], [0, 0]]
  assert batch["target_BRC"][0].tolist() == [[5, 6], [3, 4]]


def test_windows_of_a_group_stand_one_after_the_other():
  count_G = np.asarray([2, 1, 3])
  length_N = np.asarray([3, 1, 2, 1, 1, 2])
  groups = packing.pack(np.asarray([4, 2, 4]), 6)
  layout = packing.expand(groups, count_G, length_N)
  assert layout.row_N.tolist() == np.repeat(groups.row_N, count_G).tolist()
  place = sorted(zip(layout.row_N, layout.start_N, length_N, strict=True))
  for (row, start, length), (next_row, following, _) in itertools.pairwise(
    place
  ):
    assert next_row > row or following == start + length
  for row in range(layout.shape.rows):
    is_here_N = layout.row_N == row
    order_N = np.argsort(layout.start_N[is_here_N])
    assert layout.pack_N[is_here_N][order_N].tolist() == list(
      range(int(is_here_N.sum()))
    )


def test_groups_of_one_window_are_the_windows():
  length_N = np.asarray([3, 1, 2, 1, 1, 2, 5])
  groups = packing.pack(length_N, 6)
  layout = packing.expand(groups, np.ones(7, np.int64), length_N)
  for name in ("row_N", "pack_N", "start_N"):
    np.testing.assert_array_equal(getattr(layout, name), getattr(groups, name))
  assert layout.shape == groups.shape


def test_few_sizes_hold_all_and_cost_no_more_than_they_save():
  needed = [4] * 50 + [5] * 40 + [9] * 9 + [12]
  assert packing.few_sizes(needed, 0, 9) == (4, 5, 9, 12)
  assert packing.few_sizes(needed, 0, 1) == (12,)
  # With 5 for most, 12 saves 7 × 90 positions.
  assert packing.few_sizes(needed, 0, 2) == (5, 12)
  assert packing.few_sizes(needed, 90 * 7 - 1, 9) == (5, 12)
  assert packing.few_sizes(needed, 90 * 7, 9) == (12,)
  assert packing.few_sizes([3], 0, 4) == (3,)
