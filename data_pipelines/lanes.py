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
import threading
from collections.abc import Iterable, Sequence

from data_pipelines.assembly import RowRange
from data_pipelines.planner import Planner, Rows

# Beginnings of visits that a lane remembers: more than prefetching runs ahead.
_REMEMBERED = 64

# A visit of a lane begins with this row of the lane: (lane, visit, row).
Fact = tuple[int, int, int]


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

  What it remembers makes it fast and changes nothing. Not to be pickled in
  use; a worker process starts its own from the facts.
  """

  def __init__(self, planner: Planner, batch_size: int) -> None:
    self._planner = planner
    self._count = count_lanes(batch_size, planner.split.num_blocks)
    self._share = batch_size // self._count
    self._begins: dict[int, list[tuple[int, int]]] = {}
    self._plans: dict[int, dict[int, Rows]] = {}
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
          found += self._take(lane, step * self._share, first, stop, rows.start)
    return found

  def _take(
    self, lane: int, base: int, first: int, stop: int, offset: int
  ) -> Iterable[RowRange]:
    row, end, found = base + first, base + stop, []
    visit, begin = self._last_begin(lane, row)
    kept: dict[int, Rows] = {}
    while row < end:
      plan = self._plans.get(lane, {}).get(visit) or self._plan(visit)
      kept[visit] = plan
      after = begin + len(plan)
      self._learn(lane, visit + self._count, after)
      if row < after:
        number = min(end, after) - row
        place = lane + (row - base) * self._count - offset
        places = range(place, place + number * self._count, self._count)
        found.append(RowRange(plan, row - begin, places))
        row += number
        # Visits that end before this step are not needed again.
      if row < end:
        kept.pop(visit)
        visit, begin = visit + self._count, after
    self._plans[lane] = kept
    return found

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

  def _last_begin(self, lane: int, row: int) -> tuple[int, int]:
    """Visit and first row of the last known begin up to `row`."""
    begins = self._begins.setdefault(lane, [(0, lane)])
    begin, visit = begins[bisect.bisect_right(begins, (row, 1 << 62)) - 1]
    return visit, begin

  def _learn(self, lane: int, visit: int, row: int) -> None:
    begins = self._begins.setdefault(lane, [(0, lane)])
    if (row, visit) not in begins:
      bisect.insort(begins, (row, visit))
      # The very first begin stays: every row comes after it.
      del begins[1 : max(1, len(begins) - _REMEMBERED)]

  def facts(self, step: int) -> list[Fact]:
    """The last known begin of each known lane up to `step`."""
    with self._lock:
      facts = []
      for lane in sorted(self._begins):
        visit, row = self._last_begin(lane, step * self._share)
        facts.append((lane, visit, row))
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
