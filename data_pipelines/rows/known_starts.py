# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Remember where lanes begin epochs and visits.

What is remembered changes no result, and saves to plan all that came before. It
goes into checkpoints and between processes as marks.
"""

import bisect
import operator
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

# Starts that are remembered, of epochs and of the visits of each lane: more
# than prefetching runs ahead.
_REMEMBERED = 64
_row_of = operator.itemgetter(0)


class ProgressMark(NamedTuple):
  """Where a visit of a lane starts: its first row, counted in the lane.

  Attributes:
    lane: the lane.
    begins: 1 where it is a lane's first visit in an epoch, and the marks of all
      lanes are given; 0 for any other.
    visit: visits of the lane before it, in all epochs.
    row: rows of the lane before it.
  """

  lane: int
  begins: int
  visit: int
  row: int


class KnownStarts:
  """What is known of the starts of epochs and visits.

  Attributes:
    epochs: where all lanes begin an epoch: int64 [G], counted in each lane. The
      first epoch is always known, the others in the order of use.

  Args:
    lanes: number of lanes.
    visits: visits of a lane in an epoch.
  """

  def __init__(self, lanes: int, visits: int) -> None:
    self._visits = visits
    self.epochs = {0: np.zeros(lanes, np.int64)}
    # Of each lane, ascending: first row and number.
    self._starts: list[list[tuple[int, int]]] = [[] for _ in range(lanes)]

  def add_epoch(self, epoch: int, start_G: np.ndarray) -> None:
    """Remember where all lanes begin an epoch."""
    if epoch:
      self.epochs.pop(epoch, None)
      self.epochs[epoch] = start_G
      for passed in list(self.epochs)[1:-_REMEMBERED]:
        del self.epochs[passed]

  def add(self, lane: int, visit: int, row: int) -> None:
    """Remember where a visit starts."""
    starts = self._starts[lane]
    at = bisect.bisect_left(starts, (row, visit))
    if starts[at : at + 1] != [(row, visit)]:
      starts.insert(at, (row, visit))
      del starts[:-_REMEMBERED]

  def last(self, lane: int, row: int) -> tuple[int, int]:
    """Return first row and number of the last known visit up to a row."""
    starts = self._starts[lane]
    at = bisect.bisect(starts, row, key=_row_of)
    begins = [
      (int(start_G[lane]), epoch * self._visits)
      for epoch, start_G in self.epochs.items()
      if start_G[lane] <= row
    ]
    return max(begins + starts[max(at - 1, 0) : at])

  def last_of_epoch(
    self, lane: int, number: int, begin: int
  ) -> tuple[int, int]:
    """Return first row and number of the last known visit up to a visit.

    Args:
      lane: the lane.
      number: number of the visit.
      begin: row of the lane at which the epoch of the visit begins.
    """
    first = number - number % self._visits
    known = [
      start for start in self._starts[lane] if first < start[1] <= number
    ]
    return max([(begin, first), *known])

  def marks(self, row_G: np.ndarray) -> list[ProgressMark]:
    """Return what is known last, up to a row of each lane.

    It is where all lanes begin an epoch, and the last start in that epoch of
    each lane that was walked.
    """
    epoch = max(
      epoch
      for epoch, start_G in self.epochs.items()
      if (start_G <= row_G).all()
    )
    first = epoch * self._visits
    marks = [
      ProgressMark(lane, 1, first, row)
      for lane, row in enumerate(self.epochs[epoch].tolist())
    ]
    for lane, row in enumerate(row_G.tolist()):
      # Not of the next epoch, which some lanes may have begun.
      own = [
        ProgressMark(lane, 0, visit, start)
        for start, visit in self._starts[lane]
        if start <= row and first < visit < first + self._visits
      ]
      marks += own[-1:]
    return marks

  def merge(self, marks: Iterable[ProgressMark]) -> None:
    """Add the marks of another instance."""
    begins: dict[int, dict[int, int]] = {}
    for mark in marks:
      if mark.begins:
        epoch = mark.visit // self._visits
        begins.setdefault(epoch, {})[mark.lane] = mark.row
      else:
        self.add(mark.lane, mark.visit, mark.row)
    for epoch, rows in begins.items():
      if len(rows) == len(self._starts):
        start_G = np.array([rows[lane] for lane in range(len(rows))])
        self.add_epoch(epoch, start_G)
