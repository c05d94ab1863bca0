# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Ranges of integers as flat arrays."""

import functools

import numpy as np


def flatten_ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
  """Concatenate arange(start, start + count) of every pair: int64 [sum]."""
  ends = np.cumsum(counts)
  total = int(ends[-1]) if len(ends) else 0
  return np.repeat(starts - ends + counts, counts) + np.arange(total)


@functools.lru_cache(maxsize=8)
def count_up(size: int) -> np.ndarray:
  """Return arange(size), read-only and cached: int64 [size]."""
  counted = np.arange(size)
  counted.setflags(write=False)
  return counted
