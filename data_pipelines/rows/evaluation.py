# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Make batches for evaluation during pre-training: no row of a split twice."""

import functools
import operator
from collections.abc import Iterator

import numpy as np

from bertjax.batch import Batch
from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.assembly import RowRange, assemble_batch, choose_rows
from data_pipelines.rows.planner import Planner, sample_blocks
from data_pipelines.rows.rows import Rows
from data_pipelines.store.store import Store
from data_pipelines.store.token_reader import TokenReader

# Blocks that rows are drawn from where a few would have enough.
_BLOCKS = 32


class EvaluationBatches:
  """A sequence of batches with every row of a split once, or an even draw.

  The rows and their masking keys are always the same, whatever the batch size.
  The last batch is padded with rows of weight 0.

  Attributes:
    batch_size: rows of a batch.
    num_packs: packed examples a row, the size of axis R.
  """

  def __init__(self, planner: Planner, batch_size: int, rows: int) -> None:
    self._planner = planner
    self._reader = TokenReader(planner.split)
    self.batch_size = batch_size
    self.num_packs = planner.num_packs
    self._wanted = rows  # 0 takes all

  @functools.cached_property
  def _plans(self) -> list[Rows]:
    """Planned rows of each block that has any; shapes need no plans."""
    blocks = self._planner.split.num_blocks
    count = min(blocks, _BLOCKS) if self._wanted else blocks
    while True:
      plans = [
        self._planner.rows(0, block) for block in sample_blocks(blocks, count)
      ]
      if count == blocks or sum(map(len, plans)) >= self._wanted:
        return _share_out(plans, self._wanted)
      count = min(blocks, 2 * count)

  @property
  def num_rows(self) -> int:
    """Rows of all batches, without the padding of the last."""
    return sum(map(len, self._plans))

  def __len__(self) -> int:
    return -(-self.num_rows // self.batch_size)

  def __getitem__(self, index: int) -> Batch:
    return self.batch(index)

  def __iter__(self) -> Iterator[Batch]:
    return (self.batch(index) for index in range(len(self)))

  def batch(self, index: int, rows: slice | None = None) -> Batch:
    """Return the rows `rows` of batch `index`.

    Raises:
      IndexError: there is no such batch.
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


def _share_out(plans: list[Rows], wanted: int) -> list[Rows]:
  """Take `wanted` rows or all, the same share of each plan.

  The rows of a block are in random order, so that its first are an even draw.
  """
  ends = np.cumsum([0, *map(len, plans)])
  if not 0 < wanted < ends[-1]:
    return plans
  counts = np.diff(ends * wanted // ends[-1]).tolist()
  return [
    plan.select(np.arange(count))
    for plan, count in zip(plans, counts, strict=True)
    if count
  ]


def evaluation_batches(
  store: Store,
  split: str,
  *,
  objective: ObjectiveConfig,
  data: DataConfig,
  batch_size: int,
  rows: int = 0,
) -> EvaluationBatches:
  """Make batches to evaluate on.

  Args:
    store: the prepared corpus.
    split: name of the split, usually "validation".
    objective: as for `PretrainingPipeline`.
    data: as for `PretrainingPipeline`.
    batch_size: rows of a batch.
    rows: rows of all batches at most, drawn evenly from the split; 0 takes all.

  They do not depend on the seed of a run, so that runs can be compared.
  `data.max_packs=0` chooses the packs of the training split, so that training
  and evaluation have one shape.

  Raises:
    ValueError: as for `PretrainingPipeline`.
  """
  if batch_size < 1:
    raise ValueError(f"batch_size={batch_size}; give at least 1")
  shape = {"objective": objective, "seq_length": data.seq_length, "seed": 0}
  packs = data.max_packs
  if not packs and "train" in store.splits:
    packs = Planner(store, "train", max_packs=0, **shape).num_packs
  planner = Planner(store, split, max_packs=packs, **shape)
  return EvaluationBatches(planner, batch_size, rows)
