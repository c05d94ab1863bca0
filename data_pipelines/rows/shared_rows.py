# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Share out blocks among lanes, and the rows of the last blocks one by one."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_pipelines.rows.rows import Rows, join_rows
from data_pipelines.store.ranges import flatten_ranges


@dataclasses.dataclass(frozen=True)
class SharedRows:
  """Rows of the last blocks of an epoch, and which lane takes which.

  Attributes:
    rows: the rows of all blocks, one block after another.
    begin_G, end_G: int64, the rows of each lane that are shared ones, counted
      in the lane.
    order: int64 [rows], numbers in `rows`: first those of lane 0 in the order
      in which it takes them, then those of lane 1.
  """

  rows: Rows
  begin_G: np.ndarray
  end_G: np.ndarray
  order: np.ndarray

  def of(self, lane: int) -> "LanePart":
    """Return what a lane takes."""
    counts_G = self.end_G - self.begin_G
    first = int(counts_G[:lane].sum())
    return LanePart(self.rows, self.order[first : first + counts_G[lane]])


@dataclasses.dataclass(frozen=True)
class LanePart:
  """Some of many rows; takes no memory of their size."""

  rows: Rows
  order: np.ndarray

  def __len__(self) -> int:
    return len(self.order)

  def select(self, rows_N: np.ndarray) -> Rows:
    """Return copies of the rows `rows_N`, in that order."""
    return self.rows.select(self.order[rows_N])


def deal_blocks(
  order: np.ndarray, tokens: np.ndarray, lanes: int
) -> np.ndarray:
  """Give lanes with little text the larger blocks of each of their turns.

  So that the lanes stay within about a block of each other in any epoch.

  Args:
    order: blocks of an epoch.
    tokens: tokens of each block.
    lanes: number of lanes; lane g has the blocks g, g + G, … of the result.

  Returns:
    The blocks in a new order: each turn, `lanes` blocks, keeps its place, and
    so do the shared blocks at the end, fewer than twice the lanes.
  """
  turns = len(order) // lanes - 1
  dealt, sums_G = order.copy(), np.zeros(lanes, np.int64)
  sizes = tokens[order]
  for first in range(0, turns * lanes, lanes):
    turn = slice(first, first + lanes)
    largest = np.argsort(-sizes[turn], kind="stable")
    least = np.argsort(sums_G, kind="stable")
    dealt[turn][least] = order[turn][largest]
    sums_G[least] += sizes[turn][largest]
  return dealt


def share_rows(plans: Sequence[Rows], begin_G: np.ndarray) -> SharedRows:
  """Share out the rows of some blocks.

  All blocks are begun and used up together, so that a batch has rows of all of
  them; the lanes end as close to each other as they can.

  Args:
    plans: the rows of each block.
    begin_G: where each lane takes its first shared row, counted in the lane.
  """
  rows = join_rows(plans)
  end_G = level(begin_G, len(rows))
  counts_G = end_G - begin_G
  lane_N = np.repeat(np.arange(len(begin_G)), counts_G)
  # Row `place` of a lane is before row `place` of the next lane in the run.
  run_N = flatten_ranges(begin_G, counts_G) * len(begin_G) + lane_N
  order = np.empty(len(rows), np.int64)
  order[np.argsort(run_N)] = spread([len(plan) for plan in plans])
  return SharedRows(rows, begin_G, end_G, order)


def level(begin_G: np.ndarray, count: int) -> np.ndarray:
  """Return where lanes end that take `count` rows in the order of the run.

  Lane g has the rows g, g + G, g + 2G, … of the run, and has taken `begin_G[g]`
  of them. The next row is always for the lane whose next row is the first in
  the run, so that no row of the run before the last one is left out, unless a
  lane begins beyond it.

  Returns:
    int64 [G], counted in each lane.
  """
  ascending_G = np.sort(begin_G)
  below_G = np.cumsum(ascending_G) - ascending_G
  # Rows that raise the lanes before each to where it begins.
  needed_G = np.arange(len(begin_G)) * ascending_G - below_G
  taking = int(np.searchsorted(needed_G, count, "right"))
  height, rest = divmod(count + int(ascending_G[:taking].sum()), taking)
  end_G = np.maximum(begin_G, height)
  end_G[np.flatnonzero(begin_G <= height)[:rest]] += 1
  return end_G


def spread(counts: Sequence[int]) -> np.ndarray:
  """Return the members of several groups in an order that mixes them evenly.

  Args:
    counts: members of each group; they are numbered group by group.

  Returns:
    int64 [sum of the counts], in which member k of a group of n lies about
    (k + 1/2) / n of the way; the order of the groups breaks ties.
  """
  wanted = np.concatenate([(np.arange(n) + 0.5) / max(n, 1) for n in counts])
  return np.argsort(wanted, kind="stable")
