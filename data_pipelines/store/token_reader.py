# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read ranges of a split's tokens, with a cache of records."""

import threading

import numpy as np

from data_pipelines.store.layout import MAX_RECORD
from data_pipelines.store.ranges import count_up, flatten_ranges
from data_pipelines.store.store import Split


class TokenReader:
  """Gathers ranges of tokens; caches whole records in slots of one array.

  Random partners are anywhere in a split, and reading a record costs more than
  copying tokens from it. A split below `max_bytes` is in memory after its first
  epoch. Of a larger split the records that only a random partner needed are
  evicted first, so that the text that lanes walk through stays.
  """

  def __init__(self, split: Split, max_bytes: int = 512 << 20) -> None:
    self._split = split
    self._max_bytes = max_bytes
    slots = max_bytes // (MAX_RECORD * split.dtype.itemsize)
    slots = max(1, min(split.num_records, slots))
    # Not initialized: a page takes memory when a record is written to it.
    self._tokens = np.empty((slots, MAX_RECORD), split.dtype)
    # Slot of each record, and record in each slot; −1 for none.
    self._slots = np.full(split.num_records, -1, np.int32)
    self._records = np.full(slots, -1, np.int64)
    # Time of last use of each slot; 0 for random partners.
    self._used = np.zeros(slots, np.int64)
    self._free = list(range(slots - 1, -1, -1))
    self._clock = 0
    self._lock = threading.Lock()

  def __reduce__(self) -> tuple[object, ...]:
    # A worker process has a cache of its own.
    return TokenReader, (self._split, self._max_bytes)

  def gather(
    self,
    address_K: np.ndarray,
    length_K: np.ndarray,
    *,
    before_K: np.ndarray | int = 0,
    after_K: np.ndarray | int = 0,
    passing_K: np.ndarray | None = None,
  ) -> np.ndarray:
    """Return the tokens of all ranges, one after another.

    Args:
      address_K: first token of each range, counted in the split.
      length_K: tokens of each range, at least one.
      before_K: positions to leave before each range, with arbitrary tokens.
      after_K: positions to leave after each range, with arbitrary tokens.
      passing_K: bool, ranges whose records are unlikely to be needed again.

    Raises:
      ValueError: a shard is damaged.
    """
    starts = self._split.records[1]
    end_K = address_K + length_K
    first_K = np.searchsorted(starts, address_K, "right") - 1
    parts_K = np.searchsorted(starts, end_K) - first_K
    range_J = np.repeat(np.arange(len(address_K)), parts_K)
    record_J = flatten_ranges(first_K, parts_K)
    start_J = starts[record_J]
    first_J = np.maximum(address_K[range_J], start_J) - start_J
    count_J = np.minimum(end_K[range_J], starts[record_J + 1]) - start_J
    count_J -= first_J
    ends = np.cumsum(parts_K)
    first_J[ends - parts_K] -= before_K
    count_J[ends - parts_K] += before_K
    count_J[ends - 1] += after_K
    passing_J = np.zeros(len(range_J), bool)
    if passing_K is not None:
      passing_J = passing_K[range_J]
    with self._lock:
      return self._take(record_J, first_J, count_J, passing_J)

  def _take(
    self,
    record_J: np.ndarray,
    first_J: np.ndarray,
    count_J: np.ndarray,
    passing_J: np.ndarray,
  ) -> np.ndarray:
    """Copy parts of records; a part may reach beyond its record by padding."""
    slot_J = self._find(record_J, passing_J)
    if slot_J is None:
      half = len(record_J) // 2
      parts = (record_J, first_J, count_J, passing_J)
      return np.concatenate(
        [
          self._take(*(values[part] for values in parts))
          for part in (slice(half), slice(half, None))
        ]
      )
    ends = np.cumsum(count_J)
    offset_J = slot_J * MAX_RECORD + first_J - ends + count_J
    at = np.repeat(offset_J, count_J)
    at += count_up(int(ends[-1]))
    # Indices outside the array are positions that may get any token.
    return self._tokens.reshape(-1).take(at, mode="clip")

  def _find(
    self, record_J: np.ndarray, passing_J: np.ndarray
  ) -> np.ndarray | None:
    """Return the slots of the records, read if absent; None if too many."""
    self._clock += 1
    slot_J = self._slots[record_J]
    absent_J = slot_J < 0
    if absent_J.any():
      wanted = np.unique(record_J[absent_J])
      if len(wanted) > len(self._free):
        if len(np.unique(record_J)) > len(self._records):
          return None
        self._evict(len(wanted) - len(self._free), slot_J[~absent_J])
      for record in wanted.tolist():
        self._read(record)
      slot_J = self._slots[record_J]
    self._used[slot_J[~passing_J]] = self._clock
    return slot_J.astype(np.int64)

  def _evict(self, count: int, needed: np.ndarray) -> None:
    """Free at least `count` slots that are not `needed`, oldest first."""
    used = self._used.copy()
    used[needed] = self._clock
    free = np.array(self._free, np.int64)
    used[free] = self._clock
    # A sixteenth of all slots, so that not every batch has to evict.
    rest = len(used) - len(np.unique(needed)) - len(free)
    count = min(max(count, len(used) // 16), rest)
    oldest = np.argpartition(used, count - 1)[:count]
    self._slots[self._records[oldest]] = -1
    self._used[oldest] = 0
    self._free += oldest.tolist()

  def _read(self, record: int) -> None:
    (tokens,) = self._split.read_records((record,))
    slot = self._free.pop()
    self._tokens[slot, : len(tokens)] = tokens
    self._records[slot] = record
    self._slots[record] = slot
