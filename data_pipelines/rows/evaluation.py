# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Batches for evaluation during pre-training: each row of a split once."""

import functools
import operator
from collections.abc import Iterator

from bertjax.batch import Batch
from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.assembly import RowRange, assemble_batch, choose_rows
from data_pipelines.rows.planner import Planner
from data_pipelines.rows.rows import Rows
from data_pipelines.store.store import Store
from data_pipelines.store.token_reader import TokenReader


class EvaluationBatches:
  """Every row of a split once, always the same; the last batch is padded.

  A sequence: `len(batches)`, `batches[i]`, iteration; `batch(i, rows)` gives
  a part. Masks are fixed because the keys are.
  """

  def __init__(self, planner: Planner, batch_size: int, batches: int) -> None:
    self._planner = planner
    self._reader = TokenReader(planner.split)
    self.batch_size = batch_size
    self._wanted = batches * batch_size  # rows; 0 is all

  @functools.cached_property
  def _plans(self) -> list[Rows]:
    """Plans of the blocks that are needed; late, for who only asks shapes."""
    plans: list[Rows] = []
    for block in range(self._planner.split.num_blocks):
      if self._wanted and sum(map(len, plans)) >= self._wanted:
        break
      plans.append(self._planner.rows(0, block))
    return plans

  @property
  def num_rows(self) -> int:
    """Rows in all batches, without those that pad the last one."""
    rows = sum(map(len, self._plans))
    return min(rows, self._wanted) if self._wanted else rows

  @property
  def num_packs(self) -> int:
    """Packed examples a row, the size of axis R."""
    return self._planner.num_packs

  def __len__(self) -> int:
    return -(-self.num_rows // self.batch_size)

  def __getitem__(self, index: int) -> Batch:
    return self.batch(index)

  def __iter__(self) -> Iterator[Batch]:
    return (self.batch(index) for index in range(len(self)))

  def batch(self, index: int, rows: slice | None = None) -> Batch:
    """Rows `rows` of batch `index`.

    Raises:
      IndexError: no such batch.
    """
    index = operator.index(index)
    if not 0 <= index < len(self):
      raise IndexError(f"batch {index} of {len(self)}")
    chosen = choose_rows(rows, self.batch_size)
    first = index * self.batch_size + chosen.start
    stop = first + len(chosen)
    ranges, begin = [], 0
    for plan in self._plans:
      low, high = max(first, begin), min(stop, begin + len(plan))
      if low < high:
        ranges.append(
          RowRange(plan, low - begin, range(low - first, high - first))
        )
      begin += len(plan)
    return assemble_batch(self._planner, self._reader, ranges, len(chosen))


def evaluation_batches(
  store: Store,
  split: str,
  *,
  objective: ObjectiveConfig,
  data: DataConfig,
  batch_size: int,
  batches: int = 0,
) -> EvaluationBatches:
  """Batches to evaluate on: the first `batches`, or with 0 the whole split.

  They depend on no run's seed, so that runs compare. `data.max_packs=0`
  chooses as many packs as for the training split, one shape for both.

  Raises:
    ValueError: as `PretrainingPipeline`.
  """
  if batch_size < 1:
    raise ValueError(f"batch_size={batch_size}; give at least 1")
  shape = {"objective": objective, "seq_length": data.seq_length, "seed": 0}
  packs = data.max_packs
  if not packs and "train" in store.splits:
    packs = Planner(store, "train", max_packs=0, **shape).num_packs
  planner = Planner(store, split, max_packs=packs, **shape)
  return EvaluationBatches(planner, batch_size, batches)
