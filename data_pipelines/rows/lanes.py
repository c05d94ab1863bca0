# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which rows the positions of a global batch take, step by step.

The epochs' block orders form one endless sequence of visits. With n blocks
and B rows a batch there are G lanes, the largest divisor of B up to n and 64;
lane g makes the visits g, g + G, g + 2G, … and position b belongs to lane
b mod G, so that a host plans only the blocks of the positions it is asked for.
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

# Beginnings of visits that a lane remembers: more than prefetching runs ahead.
_REMEMBERED = 64

# Rows of a lane that are looked up at once where steps come in order: what a
# look-up costs for each lane is then shared by them.
_AHEAD = 32

# A visit of a lane begins with this row of the lane: (lane, visit, row).
Fact = tuple[int, int, int]
_row_of = operator.itemgetter(0)


# Each lane plans a block before the first batch, and holds its rows.
_MAX_LANES = 64


def count_lanes(batch_size: int, num_blocks: int) -> int:
  """The largest divisor of the batch that gives every lane a block.

  At most 64: the rows of a step come from that many places of the corpus.
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
  """Rows of some steps, looked up at once.

  Attributes:
    rows: positions of the batch that were asked for.
    steps: the steps.
    plan: as many rows of each step, in the order of their positions.
  """

  rows: range
  steps: range
  plan: Rows


class Lanes:
  """Finds rows; remembers where visits begin, and the plans in use.

  What it remembers makes it fast and changes nothing. A copy in another
  process takes the begins along, and plans anew.
  """

  def __init__(self, planner: Planner, batch_size: int) -> None:
    self._planner = planner
    self._count = count_lanes(batch_size, planner.split.num_blocks)
    self._share = batch_size // self._count
    self._begins: dict[int, list[tuple[int, int]]] = {}
    # Of each lane the visit in use: its number, first row and plan.
    self._current: dict[int, tuple[int, int, Rows]] = {}
    self._orders: dict[int, Sequence[int]] = {}
    self._window: _Window | None = None
    self._asked = self._apart = 0  # the last step, and steps between two
    self._lock = threading.Lock()

  def ranges(self, step: int, rows: range) -> list[RowRange]:
    """Rows of step `step` for the batch positions `rows`, in that order."""
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

  def _steps(self, step: int, apart: int, rows: range) -> range:
    """The steps to look up with `step`: more as long as they are in order."""
    window = self._window
    if window is None or window.rows != rows or apart < 1:
      return range(step, step + 1)
    if apart != self._apart:
      self._apart = apart
      return range(step, step + 1)
    count = min(2 * len(window.steps), max(1, _AHEAD // self._share))
    # Of several workers each takes every so-manieth step.
    return range(step, step + count * apart, apart)

  def _look_up(self, steps: range, rows: range) -> Rows:
    """Rows of some steps, in the order of steps and positions."""
    parts, places = [], []
    step_T1 = np.array(steps)[:, None]
    place_T1 = np.arange(len(steps))[:, None] * len(rows) - rows.start
    for lane in sorted({row % self._count for row in rows[: self._count]}):
      # Positions lane, lane + G, …: which of them are asked for.
      first = -(-(rows.start - lane) // self._count)
      stop = -(-(rows.stop - lane) // self._count)
      share = np.arange(first, stop)
      parts += self._take(lane, (step_T1 * self._share + share).ravel())
      places.append((place_T1 + lane + share * self._count).ravel())
    # Each place is there once.
    return join_rows(parts).select(np.argsort(np.concatenate(places)))

  def _take(self, lane: int, numbers: np.ndarray) -> list[Rows]:
    """Rows of a lane, by ascending number."""
    found, done = [], 0
    current = self._seek(lane, int(numbers[0]))
    while True:
      _, begin, plan = current
      stop = int(np.searchsorted(numbers, begin + len(plan)))
      if stop > done:
        found.append(plan.select(numbers[done:stop] - begin))
        done = stop
      if done == len(numbers):
        self._current[lane] = current
        return found
      current = self._next(lane, *current)

  def _seek(self, lane: int, row: int) -> tuple[int, int, Rows]:
    """Visit that has the row, its first row, and its plan."""
    current = self._current.get(lane)
    if current is None or not 0 <= row - current[1] < len(current[2]):
      begins = self._begins.setdefault(lane, [(0, lane)])
      begin, visit = begins[bisect.bisect(begins, row, key=_row_of) - 1]
      if current is None or visit != current[0]:
        current = visit, begin, self._plan(visit)
    while current[1] + len(current[2]) <= row:
      current = self._next(lane, *current)
    return current

  def _next(
    self, lane: int, visit: int, begin: int, plan: Rows
  ) -> tuple[int, int, Rows]:
    visit, begin = visit + self._count, begin + len(plan)
    self._learn(lane, visit, begin)
    return visit, begin, self._plan(visit)

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

  def _learn(self, lane: int, visit: int, row: int) -> None:
    begins = self._begins.setdefault(lane, [(0, lane)])
    if (row, visit) not in begins:
      bisect.insort(begins, (row, visit))
      # The very first begin stays: every row comes after it.
      del begins[1 : max(1, len(begins) - _REMEMBERED)]

  def facts(self, step: int) -> list[Fact]:
    """The last known begin of each known lane up to `step`."""
    with self._lock:
      facts, row = [], step * self._share
      for lane, begins in sorted(self._begins.items()):
        begin, visit = begins[bisect.bisect(begins, row, key=_row_of) - 1]
        facts.append((lane, visit, begin))
      return facts

  def learn(self, facts: Iterable[Fact]) -> None:
    """Take over what another instance found out."""
    with self._lock:
      for lane, visit, row in facts:
        self._learn(lane, visit, row)

  def __getstate__(self) -> tuple[Planner, int, dict[int, list]]:
    return (self._planner, self._count * self._share, self._begins)

  def __setstate__(self, state: tuple[Planner, int, dict[int, list]]) -> None:
    planner, batch_size, begins = state
    self.__init__(planner, batch_size)
    self._begins = {lane: list(known) for lane, known in begins.items()}
