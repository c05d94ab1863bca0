# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Planned rows → the arrays of a batch, with numpy gathers and scatters."""

import collections
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bertjax.batch import PRETRAINING_FEATURES, Batch, empty_batch
from data_pipelines.draws import flatten_ranges
from data_pipelines.planner import Planner, Rows
from data_pipelines.store import Split


class TokenReader:
  """Ranges of a split's tokens; keeps the records read last.

  Random partners lie anywhere, and a record read costs more than the tokens
  taken from it; a split below `max_bytes` is in memory after its first epoch.
  """

  def __init__(self, split: Split, max_bytes: int = 512 << 20) -> None:
    self._split = split
    self._max_bytes = max_bytes
    self._bytes = 0
    self._records: collections.OrderedDict[int, np.ndarray] = (
      collections.OrderedDict()
    )
    self._lock = threading.Lock()

  def __getstate__(self) -> tuple[Split, int]:
    # A worker process fills its own.
    return (self._split, self._max_bytes)

  def __setstate__(self, state: tuple[Split, int]) -> None:
    self.__init__(*state)

  def gather(self, address_K: np.ndarray, length_K: np.ndarray) -> np.ndarray:
    """Tokens of every range, one after another."""
    starts = self._split.records[1]
    first_K = np.searchsorted(starts, address_K, "right") - 1
    last_K = np.searchsorted(starts, address_K + length_K) - 1
    pieces_K = last_K - first_K + 1
    records = flatten_ranges(first_K, pieces_K)
    address = np.repeat(address_K, pieces_K)
    end = np.repeat(address_K + length_K, pieces_K)
    first = np.maximum(address - starts[records], 0)
    last = np.minimum(end, starts[records + 1]) - starts[records]
    pieces = zip(records.tolist(), first.tolist(), last.tolist(), strict=True)
    with self._lock:
      return np.concatenate(
        [self._record(record)[start:stop] for record, start, stop in pieces]
      )

  def _record(self, record: int) -> np.ndarray:
    found = self._records.get(record)
    if found is not None:
      self._records.move_to_end(record)
      return found
    (found,) = self._split.read_records((record,))
    self._records[record] = found
    self._bytes += found.nbytes
    while self._bytes > self._max_bytes and len(self._records) > 1:
      self._bytes -= self._records.popitem(last=False)[1].nbytes
    return found


def choose_rows(rows: slice | None, batch_size: int) -> range:
  """Positions of a global batch that `rows` asks for; None asks for all.

  Raises:
    ValueError: rows with a stride.
  """
  chosen = range(batch_size)[rows or slice(None)]
  if chosen.step != 1:
    raise ValueError(f"rows={rows} has a stride; give a contiguous part")
  return chosen


class RowRange(NamedTuple):
  """Consecutive rows of one block, and where in the batch each goes."""

  rows: Rows
  first: int
  places: range

  def slices(self) -> tuple[slice, slice, slice]:
    """Where its rows, examples and segments lie."""
    stop = self.first + len(self.places)
    examples, segments = (
      slice(starts[self.first], starts[stop]) for starts in self.rows.starts
    )
    return slice(self.first, stop), examples, segments


def assemble_batch(
  planner: Planner, reader: TokenReader, ranges: Sequence[RowRange], size: int
) -> Batch:
  """Materialise rows as `PRETRAINING_FEATURES`; places without a row are empty.

  Args:
    planner: which planned the rows.
    reader: of the split that the rows are of.
    ranges: the rows and their places.
    size: places of the batch, its axis B.
  """
  special_ids = planner.special_ids
  sizes = {"B": size, "S": planner.seq_length, "R": planner.num_packs}
  batch = empty_batch(PRETRAINING_FEATURES, sizes)
  batch["tokens_BS"][...] = special_ids["pad"]
  if not ranges:
    return batch
  place_N = np.concatenate([np.asarray(part.places) for part in ranges])
  slices = [part.slices() for part in ranges]
  join = lambda name, level: np.concatenate(
    [
      getattr(part.rows, name)[cut[level]]
      for part, cut in zip(ranges, slices, strict=True)
    ]
  )
  examples_N, segments_E = join("examples_N", 0), join("segments_E", 1)
  address_K, length_K = join("address_K", 2), join("length_K", 2)

  # Start of each example in its row, and of each segment in its example.
  closed_K = length_K + 1
  segment_K = np.cumsum(closed_K) - closed_K
  first_E = np.cumsum(segments_E) - segments_E
  length_E = 1 + np.add.reduceat(closed_K, first_E)
  start_E = np.cumsum(length_E) - length_E
  first_N = np.cumsum(examples_N) - examples_N
  start_E -= np.repeat(start_E[first_N], examples_N)
  row_E = np.repeat(place_N, examples_N)
  pack_E = np.arange(len(row_E)) - np.repeat(first_N, examples_N)

  flat = {name: array.reshape(-1) for name, array in batch.items()}
  at_E = row_E * sizes["S"] + start_E
  filled = flatten_ranges(at_E, length_E)
  flat["packs_BS"][filled] = np.repeat(pack_E + 1, length_E)
  flat["positions_BS"][filled] = filled - np.repeat(at_E, length_E)
  at_K = np.repeat(at_E + 1 - segment_K[first_E], segments_E) + segment_K
  flat["tokens_BS"][at_E] = special_ids["cls"]
  flat["tokens_BS"][at_K + length_K] = special_ids["sep"]
  flat["tokens_BS"][flatten_ranges(at_K, length_K)] = reader.gather(
    address_K, length_K
  )
  second = join("type_K", 2) == 1
  flat["types_BS"][flatten_ranges(at_K[second], closed_K[second])] = 1
  batch["starts_BR"][row_E, pack_E] = start_E
  batch["pair_label_BR"][row_E, pack_E] = join("labels_E", 1)
  batch["key_BR2"][row_E, pack_E] = join("keys_E2", 1)
  return batch
