# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A kernel works on the tiles that a window touches, and on no others."""

import itertools

import numpy as np
import pytest

from bertjax.model.ops import flash_tiles


@pytest.mark.parametrize(("count", "size"), [(64, 128), (128, 64), (128, 32)])
def test_tiles_are_those_with_a_pair_within_reach(count, size):
  length = 256
  places = np.arange(length)
  apart = np.abs(places[:, None] - places)
  for first, reach in itertools.product(
    range(0, length, count), (0, 1, 31, 64, 65, length)
  ):
    near = np.any(apart[first : first + count] <= reach, axis=0)
    (touched,) = np.nonzero(np.any(near.reshape(-1, size), axis=1))
    low, past = flash_tiles.find_tiles(
      np.int32(reach), length, (first, count), size
    )
    assert list(range(low, past)) == touched.tolist()
  assert flash_tiles.find_tiles(None, length, (0, count), size) == (
    0,
    length // size,
  )
