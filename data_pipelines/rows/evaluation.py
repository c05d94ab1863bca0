# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Make batches for evaluation during pre-training: each row of a split once."""

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
  """A sequence of batches with every row of a split once.

  The rows and their masking keys are always the same. The last batch is padded.

  Attributes:
    batch_size: rows of a batch.
    num_packs: packed examples a row, the size of axis R.
  """

  def __init__(self, planner: Planner, batch_size: int, batches: int) -> None:
    self._planner = planner
    self._reader = TokenReader(planner.split)
    self.batch_size = batch_size
    self.num_packs = planner.num_packs
    self._wanted = batches * batch_size  # rows; 0 takes all

  @functools.cached_property
  def _plans(self) -> list[Rows]:
    """Planned rows of the blocks that are needed; shapes need no plans."""
    plans: list[Rows] = []
    for block in range(self._planner.split.num_blocks):
      if self._wanted and sum(map(len, plans)) >= self._wanted:
        break
      plans.append(self._planner.rows(0, block))
    return plans

  @property
  def num_rows(self) -> int:
    """Rows of all batches, without the padding of the last."""
    rows = sum(map(len, self._plans))
    return min(rows, self._wanted) if self._wanted else rows

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


def evaluation_batches(
  store: Store,
  split: str,
  *,
  objective: ObjectiveConfig,
  data: DataConfig,
  batch_size: int,
  batches: int = 0,
) -> EvaluationBatches:
  """Make batches to evaluate on: the first `batches`, or all of a split for 0.

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
  return EvaluationBatches(planner, batch_size, batches)
