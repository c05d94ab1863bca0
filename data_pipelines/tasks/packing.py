# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Put windows into the packs of rows, and copy their arrays there."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from bertjax.batch import Batch, Shape
from data_pipelines.bins import fill_bins

# As in pre-training.
MAX_PACKS = 32


@dataclasses.dataclass(frozen=True)
class Layout:
  """Where windows stand in rows.

  Attributes:
    shape: rows, and the most packs of a row.
    row_N: the row of each window.
    pack_N: its pack in that row, from 0.
    start_N: its first position in that row.
  """

  shape: Shape
  row_N: np.ndarray
  pack_N: np.ndarray
  start_N: np.ndarray


def one_each(count: int) -> Layout:
  """Return the layout that gives every window a row."""
  zeros_N = np.zeros(count, np.int64)
  return Layout(Shape(count, 1), np.arange(count), zeros_N, zeros_N)


def pack(
  length_N: np.ndarray, seq_length: int, max_packs: int = MAX_PACKS
) -> Layout:
  """Return a layout of few rows; it depends on the lengths alone.

  Windows of equal length keep their order.

  Args:
    length_N: length of each window, 1 to `seq_length`.
    seq_length: length of a row.
    max_packs: most windows of a row.
  """
  counts = np.bincount(length_N, minlength=seq_length + 1)
  taken = (np.cumsum(counts) - counts).tolist()
  by_length = np.argsort(length_N, kind="stable")
  row_N, pack_N, start_N = np.empty((3, len(length_N)), np.int64)
  row = 0
  for pattern, bins in fill_bins(counts.tolist(), seq_length, max_packs):
    for _ in range(bins):
      start = 0
      for number, length in enumerate(pattern):
        window = by_length[taken[length]]
        taken[length] += 1
        row_N[window], pack_N[window], start_N[window] = row, number, start
        start += length
      row += 1
  return Layout(Shape(row, int(pack_N.max()) + 1), row_N, pack_N, start_N)


def few_sizes(
  needed_N: Sequence[int], price: float, most: int
) -> tuple[int, ...]:
  """Return a few sizes, of which one holds each, ascending.

  What needs a size gets the smallest that is no smaller. To the largest one is
  added, one by one, the size that saves most, as long as that is more than its
  price.

  Args:
    needed_N: the size that each needs.
    price: price of a size, in the same unit.
    most: most sizes.
  """
  size_K, count_K = np.unique(needed_N, return_counts=True)

  def total(chosen: tuple[int, ...]) -> int:
    given_K = np.asarray(chosen)[np.searchsorted(chosen, size_K)]
    return int(given_K @ count_K)

  chosen = (int(size_K[-1]),)
  while len(chosen) < min(most, len(size_K)):
    further = (
      tuple(sorted({*chosen, int(size)}))
      for size in size_K
      if size not in chosen
    )
    best = min(further, key=total)
    if total(chosen) - total(best) <= price:
      break
    chosen = best
  return chosen


def expand(groups: Layout, count_G: np.ndarray, length_N: np.ndarray) -> Layout:
  """Return the layout of windows that stand one after the other in groups.

  Args:
    groups: where the groups stand, each as if it were one window.
    count_G: number of windows of each group.
    length_N: length of each window, group by group.
  """
  group_N = np.repeat(np.arange(len(count_G)), count_G)
  ends_N = np.cumsum(length_N)
  first_G = (ends_N - length_N)[np.cumsum(count_G) - count_G]
  start_N = groups.start_N[group_N] + ends_N - length_N - first_G[group_N]
  row_N = groups.row_N[group_N]
  # The packs of a row are numbered from left to right.
  order_N = np.lexsort((start_N, row_N))
  in_row_R = np.bincount(row_N, minlength=groups.shape.rows)
  pack_N = np.empty_like(row_N)
  pack_N[order_N] = offsets(in_row_R)
  packs = int(in_row_R.max())
  return Layout(Shape(groups.shape.rows, packs), row_N, pack_N, start_N)


def fill(
  arrays: Mapping[str, np.ndarray],
  windows_N: np.ndarray,
  length_N: np.ndarray,
  layout: Layout,
  shape: Shape,
  seq_length: int,
) -> Batch:
  """Return a batch with windows where a layout says; the rest is zeros.

  Args:
    arrays: arrays of all windows, one row and one pack each, whose names end in
      their axes: BS and more, or BR and more.
    windows_N: numbers of the windows of the batch.
    length_N: their lengths.
    layout: where they stand.
    shape: size of the batch, no smaller than the layout's.
    seq_length: length of a row.
  """
  batch = {}
  for name, array in arrays.items():
    by_position = name.rpartition("_")[2].startswith("BS")
    axis = seq_length if by_position else shape.packs
    batch[name] = np.zeros((shape.rows, axis, *array.shape[2:]), array.dtype)
  rows, starts = layout.row_N, layout.start_N
  offsets_T = offsets(length_N)
  row_T = np.repeat(rows, length_N)
  to_T = np.repeat(starts, length_N) + offsets_T
  from_T = np.repeat(windows_N, length_N)
  for name, array in arrays.items():
    if name.rpartition("_")[2].startswith("BS"):
      batch[name][row_T, to_T] = array[from_T, offsets_T]
    else:
      batch[name][rows, layout.pack_N] = array[windows_N, 0]
  batch["starts_BR"][rows, layout.pack_N] = starts
  batch["packs_BS"][row_T, to_T] = np.repeat(layout.pack_N + 1, length_N)
  return batch


def offsets(length_N: np.ndarray) -> np.ndarray:
  """Return 0, 1, … for each window, all after each other."""
  ends_N = np.cumsum(length_N)
  return np.arange(ends_N[-1]) - np.repeat(ends_N - length_N, length_N)
