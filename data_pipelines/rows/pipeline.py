# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Make batches for pre-training: `PretrainingPipeline.batch(step, rows)`.

The batch of a step is a pure function of store, config and step, for any host
and any part of its rows (law 2); caches only make it fast. This is the one
module that imports grain.

A batch is made in four steps: `lanes` finds the planned rows of a step,
`planner` plans the rows of a block out of examples (`singles`, `pairs`,
`packing`), and `assembly` writes rows as arrays.
"""

import abc
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import grain
import numpy as np

from bertjax.batch import Batch
from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.assembly import assemble_batch, choose_rows
from data_pipelines.rows.known_starts import ProgressMark
from data_pipelines.rows.lanes import Lanes
from data_pipelines.rows.planner import Planner
from data_pipelines.store.store import Store
from data_pipelines.store.token_reader import TokenReader

# More steps than any run has; a grain source must have a length.
_ENDLESS = 1 << 40
# Memory for records that were read, of all stores of a run together.
CACHE_BYTES = 512 << 20


class Pipeline(abc.ABC):
  """Batches of one store or of a mixture, for any step.

  Attributes:
    batch_size: rows of the global batch.
    num_packs: packed examples a row, the size of axis R.
    identity: hashes of everything that the batches depend on.
  """

  batch_size: int
  num_packs: int
  identity: str

  @abc.abstractmethod
  def batch(self, step: int, rows: slice | None = None) -> Batch:
    """Return rows of the batch of a step, as `PRETRAINING_FEATURES`.

    Args:
      step: any step from 0 on; consecutive steps are fastest.
      rows: a contiguous part of the global batch; None takes all of it.

    Raises:
      ValueError: `step` is negative, `rows` has a stride, or a store is
        damaged.
    """

  @abc.abstractmethod
  def report(self) -> dict[str, float]:
    """Return statistics of the rows; see `Planner.report`.

    `lanes` is the number of blocks that the rows of a step come from; of a
    mixture, the blocks of the store that has the fewest. `rows_of_a_block` is
    the most rows of a step that come from one of them while the store has
    other blocks; 0 where the rows of every block are taken all the time.
    """

  @abc.abstractmethod
  def examples_by_length(self) -> np.ndarray:
    """Return the mean number of examples of each length in a row.

    See `Planner.examples_by_length`.
    """

  def epoch(self, step: int) -> float:
    """Return the epochs before `step`; estimated for more than four blocks."""
    return step * self.batch_size / self.report()["rows_per_epoch"]

  def memo(self, step: int) -> dict[str, Any]:
    """Return what makes `restore` at `step` fast, as plain JSON values."""
    return {
      "identity": self.identity,
      "facts": [list(mark) for mark in self.progress_marks(step)],
    }

  def restore(self, memo: Mapping[str, Any]) -> bool:
    """Read a memo; return False, without effect, if it is of other batches."""
    if memo.get("identity") != self.identity:
      return False
    self.merge(memo["facts"])
    return True

  @abc.abstractmethod
  def progress_marks(self, step: int) -> Sequence[Sequence[int]]:
    """Return where this instance knows that rows up to `step` start."""

  @abc.abstractmethod
  def merge(self, marks: Sequence[Sequence[int]]) -> None:
    """Add the progress marks of another instance or of a memo."""


class PretrainingPipeline(Pipeline):
  """Endless batches of a split, in another order each epoch.

  Args:
    store: the prepared corpus.
    split: name of the split, usually "train".
    objective: `next_sentence`, `input_format` and `short_rate` decide which
      rows there are.
    data: `seq_length` and `max_packs` are read.
    batch_size: rows of the global batch.
    seed: seed of the run.
    cache_bytes: memory for records that were read.

  Raises:
    ValueError: the split cannot give such rows, or `batch_size` is below 1.
  """

  def __init__(
    self,
    store: Store,
    split: str,
    *,
    objective: ObjectiveConfig,
    data: DataConfig,
    batch_size: int,
    seed: int,
    cache_bytes: int = CACHE_BYTES,
  ) -> None:
    if batch_size < 1:
      raise ValueError(f"batch_size={batch_size}; give at least 1")
    self._planner = Planner(
      store,
      split,
      objective=objective,
      seq_length=data.seq_length,
      max_packs=data.max_packs,
      seed=seed,
    )
    self.batch_size = batch_size
    self.num_packs = self._planner.num_packs
    self.identity = f"{self._planner.identity}/{batch_size}"
    self._lanes = Lanes(self._planner, batch_size)
    self._reader = TokenReader(self._planner.split, cache_bytes)

  def batch(self, step: int, rows: slice | None = None) -> Batch:
    """Return rows of the batch of a step; see `Pipeline.batch`."""
    if step < 0:
      raise ValueError(f"step={step}; give 0 or more")
    chosen = choose_rows(rows, self.batch_size)
    ranges = self._lanes.ranges(step, chosen)
    return assemble_batch(self._planner, self._reader, ranges, len(chosen))

  def report(self) -> dict[str, float]:
    """Return statistics of the rows; see `Pipeline.report`."""
    lanes = len(self._lanes)
    others = self._planner.split.num_blocks > lanes
    return {
      **self._planner.report,
      "lanes": lanes,
      "rows_of_a_block": -(-self.batch_size // lanes) if others else 0,
    }

  def examples_by_length(self) -> np.ndarray:
    """Return the mean number of examples of each length in a row."""
    return self._planner.examples_by_length

  def progress_marks(self, step: int) -> Sequence[ProgressMark]:
    """Return where known visits up to `step` start."""
    return self._lanes.progress_marks(step)

  def merge(self, marks: Sequence[Sequence[int]]) -> None:
    """Add the progress marks of another instance or of a memo."""
    self._lanes.merge(ProgressMark(*mark) for mark in marks)


class _Steps:
  """The batches from a step on, as a random-access source for grain."""

  def __init__(
    self, pipeline: Pipeline, start: int, rows: slice | None, *, remote: bool
  ) -> None:
    self._pipeline = pipeline
    self._start = start
    self._rows = rows
    self._remote = remote

  def __len__(self) -> int:
    return _ENDLESS

  def __getitem__(self, index: int) -> tuple[Batch, Sequence[Sequence[int]]]:
    step = self._start + operator.index(index)
    batch = self._pipeline.batch(step, self._rows)
    # A thread shares its pipeline with the iterator, which needs no marks.
    return batch, self._pipeline.progress_marks(step) if self._remote else []


class TrainIterator(Iterator[Batch]):
  """Yields prefetched batches in the order of steps; close it when done."""

  def __init__(self, pipeline: Pipeline, source: Any) -> None:
    self._pipeline = pipeline
    self._source = source

  def __next__(self) -> Batch:
    batch, marks = next(self._source)
    # Worker processes find the marks, and this process makes the memo.
    self._pipeline.merge(marks)
    return batch

  def close(self) -> None:
    """Stop threads and processes."""
    self._source.close()

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *_: object) -> None:
    self.close()


def train_iterator(
  pipeline: Pipeline,
  start_step: int,
  *,
  workers: int = 0,
  prefetch: int = 4,
  rows: slice | None = None,
) -> TrainIterator:
  """Make the batches of `start_step`, `start_step + 1`, … ahead of time.

  Args:
    pipeline: makes the batches, and gets the progress marks for its `memo`.
    start_step: the first step.
    workers: worker processes, which need a `__main__` guard and parsed absl
      flags; 0 prefetches in a thread.
    prefetch: batches held ready for each worker, at least 1.
    rows: the part of the global batch that this host feeds.

  Raises:
    ValueError: `workers` or `prefetch` is too small.
  """
  if workers < 0 or prefetch < 1:
    raise ValueError(
      f"data.workers={workers} data.prefetch={prefetch}; give at least 0 and 1"
    )
  # One thread, because planning is Python and holds the interpreter lock.
  dataset = grain.MapDataset.source(
    _Steps(pipeline, start_step, rows, remote=workers > 0)
  ).to_iter_dataset(
    grain.ReadOptions(num_threads=1, prefetch_buffer_size=prefetch)
  )
  if workers:
    dataset = dataset.mp_prefetch(
      grain.MultiprocessingOptions(
        num_workers=workers, per_worker_buffer_size=prefetch
      )
    )
  return TrainIterator(pipeline, iter(dataset))
