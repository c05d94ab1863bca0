# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Find the rows of each step: which blocks the positions of a batch walk.

The rows of a run are numbered on, over all steps. With n blocks and B rows a
batch there are G = min(n, 64, B) lanes, and row i of the run is row i div G of
lane i mod G. In an epoch a lane makes V = n div G visits. All but the last are
to blocks of its own, one of every G blocks of the epoch's order. The last ones
of the epoch, fewer than 2 · G blocks, are shared out row by row, so that all
lanes end the epoch together: after exactly the rows of an epoch every sentence
was taken once. Where the blocks of its own give a lane more rows than a lane
has in the whole epoch, which takes a block as large as several others, the lane
ends later, and takes fewer shared rows in the next epoch.

A host plans the blocks of the lanes of its rows, and the shared ones. Of other
lanes it counts the rows.
"""

import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from data_pipelines.rows.assembly import RowRange
from data_pipelines.rows.known_starts import KnownStarts, ProgressMark
from data_pipelines.rows.planner import Planner
from data_pipelines.rows.rows import Rows, join_rows
from data_pipelines.rows.shared_rows import (
  LanePart,
  SharedRows,
  deal_blocks,
  level,
  share_rows,
)

# Rows of a lane that are looked up at once where steps come in order, so that
# they share the cost of a look-up.
_AHEAD = 32
# Each lane plans a block before the first batch, and keeps its rows in memory.
_MAX_LANES = 64
# Shared rows that are kept behind the lanes. A small store passes many epochs
# in a step, and each lane needs the shared rows of all of them.
_KEPT_ROWS = 1 << 16


def count_lanes(batch_size: int, num_blocks: int) -> int:
  """Return the lanes of a batch: the rows of a step come from as many places.

  No lane is without a block or a row, and there are at most 64.
  """
  return min(batch_size, num_blocks, _MAX_LANES)


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
  """A visit of a lane: its number, its first row, and its rows."""

  number: int
  row: int
  plan: Rows | LanePart

  @property
  def stop(self) -> int:
    """One past the last row of the visit, counted in the lane."""
    return self.row + len(self.plan)


class Lanes:
  """Finds rows; remembers where visits start, and the plans in use.

  The memory makes it fast and changes no result. A copy in another process
  takes the starts with it, and plans again.
  """

  def __init__(self, planner: Planner, batch_size: int) -> None:
    self._planner = planner
    self._batch_size = batch_size
    self._tokens = np.diff(planner.split.blocks[:, 3])  # of each block
    self._count = count_lanes(batch_size, len(self._tokens))
    # Visits of a lane in an epoch; the last one is to the shared blocks.
    self._visits = len(self._tokens) // self._count
    self._starts = KnownStarts(self._count, self._visits)
    self._current: dict[int, _Visit] = {}  # the visit in use of each lane
    self._shared: dict[int, SharedRows] = {}  # of each epoch
    self._kept_rows = 0
    self._followed = 0  # the visit up to which other lanes were counted
    self._orders: dict[int, Sequence[int]] = {}
    self._window: _Window | None = None
    # The last step, and its distance to the next.
    self._asked = self._stride = 0
    self._lock = threading.Lock()

  def __len__(self) -> int:
    return self._count

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
    share = -(-self._batch_size // self._count)
    count = min(2 * len(window.steps), max(1, _AHEAD // share))
    # Each of n worker processes is asked for every n-th step.
    return range(step, step + count * stride, stride)

  def _look_up(self, steps: range, rows: range) -> Rows:
    """Return the rows of several steps, ordered by step and position."""
    row_T1 = np.array(steps)[:, None] * self._batch_size
    row_N = (row_T1 + np.arange(rows.start, rows.stop)).ravel()
    self._remember_place(int(row_N[0]))
    by_lane = np.argsort(row_N % self._count, kind="stable")
    place_N, lane_N = np.divmod(row_N[by_lane], self._count)
    lanes, firsts = np.unique(lane_N, return_index=True)
    parts: list[Rows] = []
    for lane, places in zip(
      lanes.tolist(), np.split(place_N, firsts[1:]), strict=True
    ):
      parts += self._take(lane, places)
    self._follow(set(lanes.tolist()))
    self._forget(set(lanes.tolist()))
    return join_rows(parts).select(np.argsort(by_lane))

  def _take(self, lane: int, places: np.ndarray) -> list[Rows]:
    """Return rows of a lane by their ascending numbers in the lane."""
    found, done = [], 0
    visit = self._seek(lane, int(places[0]))
    self._starts.add(lane, visit.number, visit.row)
    while True:
      stop = int(np.searchsorted(places, visit.stop))
      if stop > done:
        found.append(visit.plan.select(places[done:stop] - visit.row))
        done = stop
      if done == len(places):
        self._current[lane] = visit
        return found
      visit = self._visit(lane, visit.number + 1, visit.stop)

  def _seek(self, lane: int, row: int) -> _Visit:
    """Return the visit that has row `row` of the lane."""
    visit = self._current.get(lane)
    if visit is None or not visit.row <= row < visit.stop:
      start, number = self._starts.last(lane, row)
      if visit is None or not start <= visit.row <= row:
        visit = self._visit(lane, number, start)
    while visit.stop <= row:
      visit = self._visit(lane, visit.number + 1, visit.stop)
    self._current[lane] = visit
    return visit

  def _visit(self, lane: int, number: int, row: int) -> _Visit:
    """Plan a visit that starts at row `row` of its lane."""
    epoch, turn = divmod(number, self._visits)
    if turn == self._visits - 1:
      return _Visit(number, row, self._share(epoch).of(lane))
    block = self._order(epoch)[turn * self._count + lane]
    return _Visit(number, row, self._planner.rows(epoch, block))

  def _order(self, epoch: int) -> Sequence[int]:
    if epoch not in self._orders:
      self._orders = {
        known: order
        for known, order in self._orders.items()
        if abs(known - epoch) <= 2
      }
      order = self._planner.block_order(epoch)
      self._orders[epoch] = deal_blocks(
        order, self._tokens, self._count
      ).tolist()
    return self._orders[epoch]

  def _share(self, epoch: int) -> SharedRows:
    """Return the shared rows of an epoch."""
    shared = self._shared.get(epoch)
    if shared is None:
      begin_G = self._begin_shared(epoch, self._begin(epoch))
      plans = [
        self._planner.rows(epoch, block) for block in self._shared_blocks(epoch)
      ]
      shared = self._shared[epoch] = share_rows(plans, begin_G)
      self._kept_rows += len(shared.rows)
      # Two are in use at the border of epochs.
      while len(self._shared) > 2 and self._kept_rows > _KEPT_ROWS:
        self._drop(next(iter(self._shared)))
    return shared

  def _drop(self, epoch: int) -> None:
    self._kept_rows -= len(self._shared.pop(epoch).rows)

  def _shared_blocks(self, epoch: int) -> Sequence[int]:
    return self._order(epoch)[(self._visits - 1) * self._count :]

  def _begin(self, epoch: int) -> np.ndarray:
    """Return where all lanes begin an epoch: int64 [G]."""
    if epoch in self._starts.epochs:
      return self._starts.epochs[epoch]
    if epoch - 1 in self._shared:
      return self._shared[epoch - 1].end_G
    ends = {before + 1: each.end_G for before, each in self._shared.items()}
    known = {**self._starts.epochs, **ends}
    last = max(each for each in known if each <= epoch)
    start_G = known[last]
    for each in range(last, epoch):
      rows = sum(
        self._planner.count_rows(each, block)
        for block in self._shared_blocks(each)
      )
      start_G = level(self._begin_shared(each, start_G), rows)
    return start_G

  def _begin_shared(self, epoch: int, start_G: np.ndarray) -> np.ndarray:
    """Return where all lanes take their first shared row of an epoch."""
    last = epoch * self._visits + self._visits - 1
    return np.array(
      [
        self._start(lane, last, begin)
        for lane, begin in enumerate(start_G.tolist())
      ]
    )

  def _start(self, lane: int, number: int, begin: int) -> int:
    """Return where a visit starts in an epoch that starts at row `begin`."""
    row, known = self._starts.last_of_epoch(lane, number, begin)
    current = self._current.get(lane)
    for visit in range(known, number):
      if current and current.number == visit:
        row += len(current.plan)
        continue
      epoch, turn = divmod(visit, self._visits)
      block = self._order(epoch)[turn * self._count + lane]
      row += self._planner.count_rows(epoch, block)
    return row

  def _follow(self, lanes: set[int]) -> None:
    """Count the rows of other lanes up to the visits of these.

    So the end of an epoch does not have to wait for all counts at once.
    """
    number = min(self._current[lane].number for lane in lanes)
    if number == self._followed:
      return
    self._followed = number
    epoch, turn = divmod(number, self._visits)
    others = set(range(self._count)) - lanes if turn else ()
    for lane in others:
      row = self._start(lane, number, int(self._begin(epoch)[lane]))
      self._starts.add(lane, number, row)

  def _forget(self, lanes: set[int]) -> None:
    """Free the memory of shared rows that these lanes have behind them."""
    first = min(self._current[lane].number for lane in lanes) // self._visits
    passed = [epoch for epoch in self._shared if epoch < first]
    if passed and self._kept_rows > _KEPT_ROWS:
      self._starts.add_epoch(first, self._begin(first))
      for epoch in passed:
        self._drop(epoch)

  def _remember_place(self, row: int) -> None:
    """Remember where the epoch begins that has a row of the run."""
    place, lane = divmod(row, self._count)
    epoch = self._seek(lane, place).number // self._visits
    self._starts.add_epoch(epoch, self._begin(epoch))

  def progress_marks(self, step: int) -> list[ProgressMark]:
    """Return where known visits up to `step` start."""
    with self._lock:
      first = step * self._batch_size - np.arange(self._count)
      return self._starts.marks(-(-first // self._count))

  def merge(self, marks: Iterable[ProgressMark]) -> None:
    """Add the progress marks of another instance."""
    with self._lock:
      self._starts.merge(marks)

  def __getstate__(self) -> tuple[Planner, int, KnownStarts]:
    return (self._planner, self._batch_size, self._starts)

  def __setstate__(self, state: tuple[Planner, int, KnownStarts]) -> None:
    planner, batch_size, starts = state
    self.__init__(planner, batch_size)
    self._starts = starts
