# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Write planned rows as the arrays of a batch, each array at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bertjax.batch import PRETRAINING_FEATURES, Batch, empty_batch
from data_pipelines.rows.examples import count_specials
from data_pipelines.rows.planner import Planner
from data_pipelines.rows.rows import Rows, join_rows
from data_pipelines.store.ranges import count_up, flatten_ranges
from data_pipelines.store.token_reader import TokenReader


def choose_rows(rows: slice | None, batch_size: int) -> range:
  """Return the positions of a global batch in `rows`; None takes all.

  Raises:
    ValueError: `rows` has a stride.
  """
  chosen = range(batch_size)[rows or slice(None)]
  if chosen.step != 1:
    raise ValueError(f"rows={rows} has a stride; give a contiguous part")
  return chosen


class RowRange(NamedTuple):
  """Consecutive rows of a plan from `first` on, and their places in a batch."""

  rows: Rows
  first: int
  places: range


def assemble_batch(
  planner: Planner, reader: TokenReader, ranges: Sequence[RowRange], size: int
) -> Batch:
  """Write rows as `PRETRAINING_FEATURES`; places without a row are padding.

  Args:
    planner: the planner of the rows.
    reader: reads tokens of the planner's split.
    ranges: the rows, in the order of their places.
    size: rows of the batch, the size of axis B.
  """
  sizes = {"B": size, "S": planner.seq_length, "R": planner.num_packs}
  batch = empty_batch(PRETRAINING_FEATURES, sizes)
  if not ranges:
    batch["tokens_BS"][...] = planner.special_ids["pad"]
    return batch
  place_N = np.concatenate([np.asarray(part.places) for part in ranges])
  rows = join_rows([part.rows.cut(part.first, part.places) for part in ranges])
  first_N = np.cumsum(rows.examples_N) - rows.examples_N
  row_E = np.repeat(place_N, rows.examples_N)
  pack_E = np.arange(len(row_E)) - np.repeat(first_N, rows.examples_N)
  length_E = rows.lengths()
  start_E = np.cumsum(length_E) - length_E
  start_E -= np.repeat(start_E[first_N], rows.examples_N)
  batch["starts_BR"][row_E, pack_E] = start_E
  batch["pair_label_BR"][row_E, pack_E] = rows.labels_E
  batch["key_BR2"][row_E, pack_E] = rows.keys_E2

  # The room of an example reaches from its start to the start of the next: its
  # tokens, and the padding behind them.
  at_E = row_E * sizes["S"] + start_E
  total = size * sizes["S"]
  room_E = np.diff(at_E, append=total)
  flat = {
    name: batch[name].reshape(-1)[at_E[0] :]
    for name in ("tokens_BS", "types_BS", "positions_BS", "packs_BS")
  }
  flat["packs_BS"][:] = np.repeat((pack_E + 1).astype(np.int32), room_E)
  np.subtract(
    count_up(total)[at_E[0] :],
    np.repeat(at_E, room_E),
    out=flat["positions_BS"],
    casting="unsafe",
  )
  _write_segments(flat, rows, room_E - length_E, planner, reader)
  padding_E = room_E - length_E
  padding = flatten_ranges(at_E + length_E - at_E[0], padding_E)
  for name, array in flat.items():
    array[padding] = planner.special_ids["pad"] if name == "tokens_BS" else 0
  batch["tokens_BS"].reshape(-1)[: at_E[0]] = planner.special_ids["pad"]
  return batch


def _write_segments(
  flat: Batch,
  rows: Rows,
  padding_E: np.ndarray,
  planner: Planner,
  reader: TokenReader,
) -> None:
  """Write `tokens_BS` and `types_BS`, with arbitrary padding."""
  last_K = np.cumsum(rows.segments_E) - 1
  first_K = last_K - rows.segments_E + 1
  # Places around each segment: its special tokens, and padding after the last
  # segment of an example.
  template = planner.template
  before_K, specials_K = count_specials(template, rows.segments_E, rows.type_K)
  after_K = specials_K.copy()
  after_K[last_K] += padding_E
  room_K = before_K + rows.length_K + after_K
  end_K = np.cumsum(room_K) - after_K
  second_K = rows.type_K == 1
  label_K = np.repeat(rows.labels_E, rows.segments_E)
  flat["tokens_BS"][:] = reader.gather(
    rows.address_K,
    rows.length_K,
    before_K=before_K,
    after_K=after_K,
    passing_K=second_K & (label_K >= 0) & (label_K == planner.random_label),
  )
  start_K = end_K - rows.length_K
  between_K = np.append(second_K[1:], False)
  for at, ids in (
    (start_K[first_K] - len(template.first), template.first),
    (end_K[between_K], template.between),
    (end_K[~between_K], template.last),
  ):
    for place, id_ in enumerate(ids):
      flat["tokens_BS"][at + place] = id_
  if template.second_type and second_K.any():
    type_K = (template.second_type * rows.type_K).astype(np.int32)
    flat["types_BS"][:] = np.repeat(type_K, room_K)
