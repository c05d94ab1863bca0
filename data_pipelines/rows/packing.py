# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pack the examples of a block into rows, as `bins` fills them.

No way needs fewer rows than there are examples longer than half a row: examples
of whole sentences, which end a sentence before the row does, fill 0.89 of the
positions of rows of 128 tokens on books, and 0.96 of the positions of rows of
512 tokens.
"""

import bisect
import math
from collections.abc import Sequence

import numpy as np

from data_pipelines.bins import fill_bins
from data_pipelines.host_rng import HostRng
from data_pipelines.store.ranges import flatten_ranges

MAX_PACKS = 32
# The fewest packs are chosen whose efficiency reaches 0.995, or 0.99 if 0.995
# is out of reach, or else the best minus `_LITTLE`: each pack of a row costs
# half a prediction slot.
_ENOUGH = (0.995, 0.99)
_LITTLE = 0.001


def choose_packs(
  seq_length: int, lengths: Sequence[np.ndarray], shortest: int
) -> int:
  """Choose the packs of a row where `data.max_packs` is 0; see `_ENOUGH`.

  At least twice the examples that fit on average; more where the short examples
  that are packed last would use up a row's packs before the row is full.

  Args:
    seq_length: length of a row.
    lengths: lengths of the examples of some blocks.
    shortest: no example is shorter.
  """
  tokens = sum(int(length_E.sum()) for length_E in lengths)
  mean = tokens / sum(map(len, lengths))
  most = max(1, min(MAX_PACKS, seq_length // shortest))
  least = min(most, math.ceil(2 * seq_length / mean))

  def efficiency(packs: int) -> float:
    rows = sum(count_rows(length_E, seq_length, packs) for length_E in lengths)
    return tokens / (rows * seq_length)

  best = efficiency(most)
  had = [share for share in _ENOUGH if share <= best]
  wanted = had[0] if had else best - _LITTLE
  packs = range(least, most)
  return least + bisect.bisect_left(packs, wanted, key=efficiency)


def count_rows(length_E: np.ndarray, seq_length: int, max_packs: int) -> int:
  """Count the rows that `pack_examples` would fill."""
  counts = np.bincount(length_E, minlength=seq_length + 1).tolist()
  return sum(count for _, count in fill_bins(counts, seq_length, max_packs))


def pack_examples(
  length_E: np.ndarray, seq_length: int, max_packs: int, rng: HostRng
) -> tuple[np.ndarray, np.ndarray]:
  """Put examples into rows, and rows into a random order.

  Args:
    length_E: length of each example, 1 to `seq_length`.
    seq_length: length of a row.
    max_packs: most examples in a row.
    rng: keyed by seed, epoch and block.

  Returns:
    The examples in the order of their rows, int64 [E], and the number of
    examples of each row, int64 [rows].
  """
  counts = np.bincount(length_E, minlength=seq_length + 1)
  patterns = fill_bins(counts.tolist(), seq_length, max_packs)
  # Examples of equal length are interchangeable, so their order is random.
  shuffled_E = rng.permutation("packs", len(length_E))
  # A stable sort of 16-bit numbers is several times faster than of longer ones.
  by_length = np.argsort(
    length_E[shuffled_E].astype(np.min_scalar_type(seq_length)), kind="stable"
  )
  pool = shuffled_E[by_length]
  taken = (np.cumsum(counts) - counts).tolist()
  examples, filled = np.empty_like(pool), 0
  for pattern, count in patterns:
    size = count * len(pattern)
    rows = examples[filled : filled + size].reshape(count, len(pattern))
    filled += size
    for column, length in enumerate(pattern):
      rows[:, column] = pool[taken[length] : taken[length] + count]
      taken[length] += count
  sizes = np.repeat(
    [len(pattern) for pattern, _ in patterns], [count for _, count in patterns]
  )
  order = rng.permutation("rows", len(sizes))
  starts = np.cumsum(sizes) - sizes
  return examples[flatten_ranges(starts[order], sizes[order])], sizes[order]
