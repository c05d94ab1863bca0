# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which rows the positions of a global batch take, step by step.

The epochs' block orders form one endless sequence of visits. With n blocks
and B rows a batch there are G lanes, the largest divisor of B up to n; lane g
makes the visits g, g + G, g + 2G, … and lane position b belongs to lane
b mod G, so that a host plans only the blocks of the positions it is asked for.
"""

import bisect
import math
import operator
import threading
from collections.abc import Iterable, Sequence

from data_pipelines.assembly import RowRange
from data_pipelines.planner import Planner, Rows

# Beginnings of visits that a lane remembers: more than prefetching runs ahead.
_REMEMBERED = 64

# A visit of a lane begins with this row of the lane: (lane, visit, row).
Fact = tuple[int, int, int]
_row_of = operator.itemgetter(0)


def count_lanes(batch_size: int, num_blocks: int) -> int:
  """The largest divisor of the batch that gives every lane a block."""
  divisors = (
    divisor
    for low in range(1, math.isqrt(batch_size) + 1)
    if batch_size % low == 0
    for divisor in (low, batch_size // low)
  )
  return max(divisor for divisor in divisors if divisor <= num_blocks)


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
    self._lock = threading.Lock()

  def ranges(self, step: int, rows: range) -> list[RowRange]:
    """Rows of step `step` for the batch positions `rows`, in that order."""
    found = []
    with self._lock:
      for lane in range(self._count):
        # Positions lane, lane + G, …: which of them are asked for.
        first = -(-(rows.start - lane) // self._count)
        stop = -(-(rows.stop - lane) // self._count)
        if first < stop:
          base = step * self._share
          found += self._take(lane, base, first, stop, rows.start)
    return found

  def _take(
    self, lane: int, base: int, first: int, stop: int, offset: int
  ) -> list[RowRange]:
    """Rows base + first … base + stop of a lane, and their places."""
    row, end, found = base + first, base + stop, []
    visit, begin, plan = self._seek(lane, row)
    while True:
      number = min(end, begin + len(plan)) - row
      place = lane + (row - base) * self._count - offset
      places = range(place, place + number * self._count, self._count)
      found.append(RowRange(plan, row - begin, places))
      row += number
      if row == end:
        self._current[lane] = visit, begin, plan
        return found
      visit, begin, plan = self._next(lane, visit, begin, plan)

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
