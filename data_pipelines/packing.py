# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Several examples in a row: best fit, longest first, over a block.

Only how many examples have which length matters for that, so that bins of
equal content are filled together and the cost does not grow with the block
(the idea of Krell et al., 2021, section 3.1).
"""

import math

import numpy as np

from data_pipelines.draws import Draws

MAX_PACKS = 32


def choose_packs(seq_length: int, mean_length: float) -> int:
  """Packs a row, where `data.max_packs` is 0: twice what fits on average."""
  return min(MAX_PACKS, max(1, math.ceil(2 * seq_length / mean_length)))


def pack_examples(
  length_E: np.ndarray, seq_length: int, max_packs: int, draws: Draws
) -> tuple[np.ndarray, np.ndarray]:
  """Put examples into rows, and rows into a random order.

  Args:
    length_E: length of each example, 1 to `seq_length`.
    seq_length: length of a row.
    max_packs: examples a row holds at most.
    draws: keyed by seed, epoch and block.

  Returns:
    The examples in the order of their rows: int64 [E], and how many each row
    has: int64 [rows].
  """
  patterns = _fill_bins(
    np.bincount(length_E, minlength=seq_length + 1).tolist(),
    seq_length,
    max_packs,
  )
  # Examples of equal length are interchangeable: which meets which is random.
  shuffled_E = draws.order("packs", len(length_E))
  pool = shuffled_E[np.argsort(length_E[shuffled_E], kind="stable")]
  counts = np.bincount(length_E, minlength=seq_length + 1)
  taken = (np.cumsum(counts) - counts).tolist()
  examples, sizes = [], []
  for pattern, count in patterns:
    columns = []
    for length in pattern:
      columns.append(pool[taken[length] : taken[length] + count])
      taken[length] += count
    examples.append(np.stack(columns, axis=1).ravel())
    sizes.append(np.full(count, len(pattern)))
  return _shuffle_rows(np.concatenate(examples), np.concatenate(sizes), draws)


def _fill_bins(
  counts: list[int], seq_length: int, max_packs: int
) -> list[tuple[tuple[int, ...], int]]:
  """Contents of the bins, as lengths from long to short, and how many each."""
  # Unfinished bins by the room they have; bit `room` of `rooms` is set where
  # there are any, so that the smallest that suffices is a bit operation.
  unfinished: list[list[tuple[tuple[int, ...], int]]] = [
    [] for _ in range(seq_length + 1)
  ]
  finished: list[tuple[tuple[int, ...], int]] = []
  rooms = 0
  for length in range(seq_length, 0, -1):
    left = counts[length]
    while left:
      fitting = rooms >> length
      room = length + (fitting & -fitting).bit_length() - 1
      if not fitting:
        room = seq_length
        unfinished[room].append(((), left))
      pattern, bins = unfinished[room].pop()
      # The fullest bin takes all that it can before the next one is begun.
      each = min(room // length, max_packs - len(pattern), left)
      used = min(bins, left // each)
      left -= used * each
      if bins > used and fitting:
        unfinished[room].append((pattern, bins - used))
      if not unfinished[room]:
        rooms &= ~(1 << room)
      pattern, room = pattern + (length,) * each, room - each * length
      if len(pattern) == max_packs or not room:
        finished.append((pattern, used))
      else:
        unfinished[room].append((pattern, used))
        rooms |= 1 << room
  return finished + [group for groups in unfinished for group in groups]


def _shuffle_rows(
  examples: np.ndarray, sizes: np.ndarray, draws: Draws
) -> tuple[np.ndarray, np.ndarray]:
  order = draws.order("rows", len(sizes))
  row_E = np.repeat(np.argsort(order), sizes)
  return examples[np.argsort(row_E, kind="stable")], sizes[order]
