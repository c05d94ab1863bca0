# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Put windows into the packs of rows, and copy their arrays there."""

import dataclasses
from collections.abc import Mapping

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


def pack(length_N: np.ndarray, seq_length: int) -> Layout:
  """Return a layout of few rows; it depends on the lengths alone.

  Windows of equal length keep their order.

  Args:
    length_N: length of each window, 1 to `seq_length`.
    seq_length: length of a row.
  """
  counts = np.bincount(length_N, minlength=seq_length + 1)
  taken = (np.cumsum(counts) - counts).tolist()
  by_length = np.argsort(length_N, kind="stable")
  row_N, pack_N, start_N = np.empty((3, len(length_N)), np.int64)
  row = 0
  for pattern, bins in fill_bins(counts.tolist(), seq_length, MAX_PACKS):
    for _ in range(bins):
      start = 0
      for number, length in enumerate(pattern):
        window = by_length[taken[length]]
        taken[length] += 1
        row_N[window], pack_N[window], start_N[window] = row, number, start
        start += length
      row += 1
  return Layout(Shape(row, int(pack_N.max()) + 1), row_N, pack_N, start_N)


def fill(
  arrays: Mapping[str, np.ndarray],
  windows_N: np.ndarray,
  length_N: np.ndarray,
  layout: Layout,
  shape: Shape,
) -> Batch:
  """Return a batch with windows where a layout says; the rest is zeros.

  Args:
    arrays: arrays of all windows, one row and one pack each, whose names end in
      their axes: BS and more, or BR and more.
    windows_N: numbers of the windows of the batch.
    length_N: their lengths.
    layout: where they stand.
    shape: size of the batch, no smaller than the layout's.
  """
  batch = {}
  for name, array in arrays.items():
    by_position = name.rpartition("_")[2].startswith("BS")
    axis = array.shape[1] if by_position else shape.packs
    batch[name] = np.zeros((shape.rows, axis, *array.shape[2:]), array.dtype)
  rows, starts = layout.row_N, layout.start_N
  offsets_T = _offsets(length_N)
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


def _offsets(length_N: np.ndarray) -> np.ndarray:
  """Return 0, 1, … for each window, all after each other."""
  ends_N = np.cumsum(length_N)
  return np.arange(ends_N[-1]) - np.repeat(ends_N - length_N, length_N)
