# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pack examples into rows: best fit decreasing, over a block.

The result depends only on the number of examples of each length. Bins of equal
content are filled together, so that the cost does not grow with the block
(Krell et al., 2021, section 3.1).

Best fit leaves a few positions of a row where the examples left are longer. So
a second way fills a row to the last position where one or two examples do that,
and the way that needs fewer rows is taken. No way needs fewer rows than there
are examples longer than half a row: examples of whole sentences, which end a
sentence before the row does, fill 0.89 of the positions of rows of 128 tokens
on books, and 0.96 of the positions of rows of 512 tokens.
"""

import bisect
import math
from collections.abc import Sequence

import numpy as np

from data_pipelines.host_rng import HostRng
from data_pipelines.store.ranges import flatten_ranges

MAX_PACKS = 32
# The fewest packs are chosen whose efficiency reaches 0.995, or 0.99 if 0.995
# is out of reach, or else the best minus `_LITTLE`: each pack of a row costs
# half a prediction slot.
_ENOUGH = (0.995, 0.99)
_LITTLE = 0.001


def choose_packs(seq_length: int, lengths: Sequence[np.ndarray]) -> int:
  """Choose the packs of a row where `data.max_packs` is 0; see `_ENOUGH`.

  At least twice the examples that fit on average; more where the short examples
  that are packed last would use up a row's packs before the row is full.

  Args:
    seq_length: length of a row.
    lengths: lengths of the examples of some blocks.
  """
  tokens = sum(int(length_E.sum()) for length_E in lengths)
  mean = tokens / sum(map(len, lengths))
  # No example is shorter than three tokens.
  most = max(1, min(MAX_PACKS, seq_length // 3))
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
  return sum(count for _, count in _fill_bins(counts, seq_length, max_packs))


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
  patterns = _fill_bins(counts.tolist(), seq_length, max_packs)
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


Patterns = list[tuple[tuple[int, ...], int]]


def _fill_bins(counts: list[int], seq_length: int, max_packs: int) -> Patterns:
  """Return patterns of bins, lengths from long to short, and their counts."""
  ways = (
    _Bins(counts, seq_length, max_packs, exact=exact).fill()
    for exact in (False, True)
  )
  return min(ways, key=lambda groups: sum(bins for _, bins in groups))


class _Bins:
  """Bins that are being filled, those of equal content together.

  Bit `length` of a mask stands for examples of that length, so that one
  operation on whole numbers looks at all of them.

  Args:
    counts: examples of each length from 0 on.
    seq_length: what a bin holds.
    max_packs: most examples in a bin.
    exact: fill a bin to the last position where that can be done.
  """

  def __init__(
    self, counts: list[int], seq_length: int, max_packs: int, *, exact: bool
  ) -> None:
    self._counts = list(counts)
    self._size = seq_length
    self._max_packs = max_packs
    self._exact = exact
    # Unfinished bins by the room that is left, and a mask of such rooms.
    self._unfinished: list[Patterns] = [[] for _ in range(seq_length + 1)]
    self._rooms = 0
    self._finished: Patterns = []
    # Lengths of examples that are left, and the mask in reverse.
    self._left = sum(1 << at for at, count in enumerate(counts) if count)
    self._reversed = sum(
      1 << seq_length - at for at, count in enumerate(counts) if count
    )

  def fill(self) -> Patterns:
    """Put all examples into bins, the longest first."""
    for length in range(self._size, 0, -1):
      while self._counts[length]:
        self._place(length)
    return self._finished + [
      group for groups in self._unfinished for group in groups
    ]

  def _place(self, length: int) -> None:
    """Put examples of a length into the fullest bins that have room."""
    left, room = self._counts[length], self._size
    fitting = self._rooms >> length
    pattern: tuple[int, ...] = ()
    bins = left
    if fitting:
      room = length + (fitting & -fitting).bit_length() - 1
      pattern, bins = self._unfinished[room].pop()
    # A bin takes as many as fit before the next bin is begun.
    added = self._choose(length, room, self._max_packs - len(pattern))
    used = min(bins, *(self._counts[at] // added.count(at) for at in added))
    for each in added:
      self._take(each, used)
    if bins > used and fitting:
      self._unfinished[room].append((pattern, bins - used))
    if not self._unfinished[room]:
      self._rooms &= ~(1 << room)
    pattern, room = pattern + added, room - sum(added)
    if len(pattern) == self._max_packs or not room:
      self._finished.append((pattern, used))
    else:
      self._unfinished[room].append((pattern, used))
      self._rooms |= 1 << room

  def _take(self, length: int, count: int) -> None:
    self._counts[length] -= count
    if not self._counts[length]:
      self._left &= ~(1 << length)
      self._reversed &= ~(1 << self._size - length)

  def _choose(self, length: int, room: int, packs: int) -> tuple[int, ...]:
    """Choose what a bin takes: as many of a length as fit, or fewer exactly."""
    most = min(room // length, packs, self._counts[length])
    if self._exact and room > most * length:
      for own in range(most, max(0, most - 3), -1):
        rest = self._complete(room - own * length, packs - own, length)
        if rest:
          return (length,) * own + rest
    return (length,) * most

  def _complete(self, room: int, packs: int, length: int) -> tuple[int, ...]:
    """Return one or two lengths below `length` that fill a room, or none."""
    shorter = self._left & ((1 << length) - 1)
    if packs >= 1 and shorter >> room & 1:
      return (room,)
    # Of two lengths that add up to the room both are in the mask.
    both = shorter & self._reversed >> (self._size - room)
    both &= -1 << max(room - length + 1, 0)
    while packs >= 2 and both:
      long = both.bit_length() - 1
      if 2 * long != room or self._counts[long] > 1:
        return (long, room - long)
      both ^= 1 << long
    return ()
