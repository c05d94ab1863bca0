# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Find the rows of each step: which blocks the positions of a batch walk.

The block orders of all epochs form one endless sequence of visits. With n
blocks and B rows a batch there are G lanes, where G is the largest divisor of B
up to n and 64. Lane g makes the visits g, g + G, g + 2G, … and position b of
the batch belongs to lane b mod G, so that a host plans only the blocks of the
positions that it is asked for.
"""

import bisect
import math
import operator
import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from data_pipelines.rows.assembly import RowRange
from data_pipelines.rows.planner import Planner
from data_pipelines.rows.rows import Rows, join_rows

# Starts of visits that a lane remembers: more than prefetching runs ahead.
_REMEMBERED = 64
# Rows of a lane that are looked up at once where steps come in order, so that
# they share the cost of a look-up.
_AHEAD = 32
# Each lane plans a block before the first batch, and keeps its rows in memory.
_MAX_LANES = 64
_row_of = operator.itemgetter(0)


class ProgressMark(NamedTuple):
  """Where a visit of a lane starts: its first row, counted in the lane."""

  lane: int
  visit: int
  row: int


def count_lanes(batch_size: int, num_blocks: int) -> int:
  """Return the largest divisor of the batch that gives every lane a block.

  At most 64: the rows of a step come from as many places of the corpus.
  """
  most = min(num_blocks, _MAX_LANES)
  divisors = (
    divisor
    for low in range(1, math.isqrt(batch_size) + 1)
    if batch_size % low == 0
    for divisor in (low, batch_size // low)
  )
  return max(divisor for divisor in divisors if divisor <= most)


class _Window(NamedTuple):
  """Rows of several steps, looked up at once.

  Attributes:
    rows: positions of the batch.
    steps: the steps.
    plan: planned rows, ordered by step and then by position.
  """

  rows: range
  steps: range
  plan: Rows


class _Visit(NamedTuple):
  """A visit of a lane to a block: its number, its first row, and its rows."""

  number: int
  row: int
  plan: Rows

  @property
  def stop(self) -> int:
    """One past the last row of the visit, counted in the lane."""
    return self.row + len(self.plan)


class Lanes:
  """Finds rows; remembers where visits start, and the plans in use.

  The memory makes it fast and changes no result. A copy in another process
  takes the starts of visits with it, and plans again.
  """

  def __init__(self, planner: Planner, batch_size: int) -> None:
    self._planner = planner
    self._count = count_lanes(batch_size, planner.split.num_blocks)
    self._share = batch_size // self._count
    # Known starts of each lane, ascending: first row and number of a visit.
    self._starts: dict[int, list[tuple[int, int]]] = {}
    self._current: dict[int, _Visit] = {}  # the visit in use of each lane
    self._orders: dict[int, Sequence[int]] = {}
    self._window: _Window | None = None
    # The last step, and its distance to the next.
    self._asked = self._stride = 0
    self._lock = threading.Lock()

  def ranges(self, step: int, rows: range) -> list[RowRange]:
    """Return the rows of `step` for the positions `rows`, in that order."""
    if not rows:
      return []
    with self._lock:
      window = self._window
      if window is None or window.rows != rows or step not in window.steps:
        steps = self._steps(step, step - self._asked, rows)
        window = _Window(rows, steps, self._look_up(steps, rows))
        self._window = window
      self._asked = step
    first = window.steps.index(step) * len(rows)
    return [RowRange(window.plan, first, range(len(rows)))]

  def _steps(self, step: int, stride: int, rows: range) -> range:
    """Choose the steps to look up: more while steps come in order."""
    window = self._window
    if window is None or window.rows != rows or stride < 1:
      return range(step, step + 1)
    if stride != self._stride:
      self._stride = stride
      return range(step, step + 1)
    count = min(2 * len(window.steps), max(1, _AHEAD // self._share))
    # Each of n worker processes is asked for every n-th step.
    return range(step, step + count * stride, stride)

  def _look_up(self, steps: range, rows: range) -> Rows:
    """Return the rows of several steps, ordered by step and position."""
    parts, places = [], []
    step_T1 = np.array(steps)[:, None]
    place_T1 = np.arange(len(steps))[:, None] * len(rows) - rows.start
    for lane in sorted({row % self._count for row in rows[: self._count]}):
      # The requested positions of the lane are share * G + lane.
      first = -(-(rows.start - lane) // self._count)
      stop = -(-(rows.stop - lane) // self._count)
      share = np.arange(first, stop)
      parts += self._take(lane, (step_T1 * self._share + share).ravel())
      places.append((place_T1 + lane + share * self._count).ravel())
    # The places are a permutation.
    return join_rows(parts).select(np.argsort(np.concatenate(places)))

  def _take(self, lane: int, numbers: np.ndarray) -> list[Rows]:
    """Return rows of a lane by their ascending numbers in the lane."""
    found, done = [], 0
    visit = self._seek(lane, int(numbers[0]))
    while True:
      stop = int(np.searchsorted(numbers, visit.stop))
      if stop > done:
        found.append(visit.plan.select(numbers[done:stop] - visit.row))
        done = stop
      if done == len(numbers):
        self._current[lane] = visit
        return found
      visit = self._next(lane, visit)

  def _seek(self, lane: int, row: int) -> _Visit:
    """Return the visit that has row `row` of the lane."""
    visit = self._current.get(lane)
    if visit is None or not visit.row <= row < visit.stop:
      starts = self._starts.setdefault(lane, [(0, lane)])
      start, number = starts[bisect.bisect(starts, row, key=_row_of) - 1]
      if visit is None or number != visit.number:
        visit = _Visit(number, start, self._plan(number))
    while visit.stop <= row:
      visit = self._next(lane, visit)
    return visit

  def _next(self, lane: int, visit: _Visit) -> _Visit:
    number = visit.number + self._count
    self._remember(ProgressMark(lane, number, visit.stop))
    return _Visit(number, visit.stop, self._plan(number))

  def _plan(self, visit: int) -> Rows:
    epoch, place = divmod(visit, self._planner.split.num_blocks)
    if epoch not in self._orders:
      self._orders = {
        known: order
        for known, order in self._orders.items()
        if abs(known - epoch) <= 2
      }
      self._orders[epoch] = self._planner.block_order(epoch).tolist()
    return self._planner.rows(epoch, self._orders[epoch][place])

  def _remember(self, mark: ProgressMark) -> None:
    starts = self._starts.setdefault(mark.lane, [(0, mark.lane)])
    if (mark.row, mark.visit) not in starts:
      bisect.insort(starts, (mark.row, mark.visit))
      # The first start stays, so that every row has a start before it.
      del starts[1 : max(1, len(starts) - _REMEMBERED)]

  def progress_marks(self, step: int) -> list[ProgressMark]:
    """Return the last known start up to `step` of each known lane."""
    with self._lock:
      marks, row = [], step * self._share
      for lane, starts in sorted(self._starts.items()):
        start, visit = starts[bisect.bisect(starts, row, key=_row_of) - 1]
        marks.append(ProgressMark(lane, visit, start))
      return marks

  def merge(self, marks: Iterable[ProgressMark]) -> None:
    """Add the progress marks of another instance."""
    with self._lock:
      for mark in marks:
        self._remember(mark)

  def __getstate__(self) -> tuple[Planner, int, dict[int, list]]:
    return (self._planner, self._count * self._share, self._starts)

  def __setstate__(self, state: tuple[Planner, int, dict[int, list]]) -> None:
    planner, batch_size, starts = state
    self.__init__(planner, batch_size)
    self._starts = {lane: list(known) for lane, known in starts.items()}
