# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fill bins with examples: best fit decreasing.

The result depends only on the number of examples of each length. Bins of equal
content are filled together, so that the cost does not grow with their number
(Krell et al., 2021, section 3.1).

Best fit leaves a few positions of a bin where the examples left are longer. So
a second way fills a bin to the last position where one or two examples do that,
and the way that needs fewer bins is taken.
"""

# The lengths in a bin, and how many bins are alike.
Patterns = list[tuple[tuple[int, ...], int]]


def fill_bins(counts: list[int], seq_length: int, max_packs: int) -> Patterns:
  """Return patterns of bins, lengths from long to short, and their counts.

  Args:
    counts: examples of each length from 0 to `seq_length`.
    seq_length: what a bin holds.
    max_packs: most examples in a bin.
  """
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
