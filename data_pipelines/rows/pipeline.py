# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Batches for pre-training: `PretrainingPipeline.batch(step, rows)`.

The batch of a step is a pure function of store, config and step, whoever asks
for which of its rows (law 2); every cache below only makes it fast. The one
module that imports grain.
"""

import operator
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self

import grain

from bertjax.batch import Batch
from bertjax.config import DataConfig, ObjectiveConfig
from data_pipelines.rows.assembly import assemble_batch, choose_rows
from data_pipelines.rows.lanes import Fact, Lanes
from data_pipelines.rows.planner import Planner
from data_pipelines.store.store import Store
from data_pipelines.store.token_reader import TokenReader

# More steps than any run has; a grain source must have a length.
_ENDLESS = 1 << 40
# Of a run's stores together: what is kept of records that were read.
CACHE_BYTES = 512 << 20


class Pipeline(Protocol):
  """What a run asks of its batches: one store's, or a mixture's."""

  batch_size: int

  @property
  def num_packs(self) -> int:
    """See `PretrainingPipeline`, as for all of these."""
    ...

  def batch(self, step: int, rows: slice | None = None) -> Batch:
    """Rows of the batch of a step."""
    ...

  def epoch(self, step: int) -> float:
    """Epochs begun before a step."""
    ...

  def report(self) -> dict[str, float]:
    """What the rows are like."""
    ...

  def memo(self, step: int) -> dict[str, Any]:
    """What makes `restore` fast."""
    ...

  def restore(self, memo: Mapping[str, Any]) -> bool:
    """Take over a memo."""
    ...

  def facts(self, step: int) -> list[Any]:
    """What a worker process found out."""
    ...

  def learn(self, facts: list[Any]) -> None:
    """Take over another instance's facts."""
    ...


class PretrainingPipeline:
  """Batches of a split, endless, in another order each epoch.

  Args:
    store: the prepared corpus.
    split: name of the split, usually "train".
    objective: which rows (`next_sentence`, `input_format`, `short_rate`).
    data: `seq_length` and `max_packs` of it.
    batch_size: rows of the global batch.
    seed: of the run.
    cache_bytes: of records kept in memory.

  Raises:
    ValueError: rows that cannot be made of this split, or a batch size under 1.
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
    self._lanes = Lanes(self._planner, batch_size)
    self._reader = TokenReader(self._planner.split, cache_bytes)

  @property
  def num_packs(self) -> int:
    """Packed examples a row, the size of axis R."""
    return self._planner.num_packs

  def batch(self, step: int, rows: slice | None = None) -> Batch:
    """Rows `rows` of the batch of step `step`, as `PRETRAINING_FEATURES`.

    Args:
      step: from 0; any, in any order, though the next one is fastest.
      rows: a contiguous part of the global batch; None takes all of it.

    Raises:
      ValueError: a negative step, rows with a stride, or a damaged store.
    """
    if step < 0:
      raise ValueError(f"step={step}; give 0 or more")
    chosen = choose_rows(rows, self.batch_size)
    ranges = self._lanes.ranges(step, chosen)
    return assemble_batch(self._planner, self._reader, ranges, len(chosen))

  def epoch(self, step: int) -> float:
    """Epochs begun before `step`; an estimate for more than four blocks."""
    return step * self.batch_size / self._planner.report["rows_per_epoch"]

  def report(self) -> dict[str, float]:
    """What the rows are like, from a bounded sample; see `Planner.report`."""
    return dict(self._planner.report)

  def memo(self, step: int) -> dict[str, Any]:
    """What makes `restore` at `step` fast, as plain JSON values."""
    return {
      "identity": self.identity,
      "facts": [list(fact) for fact in self._lanes.facts(step)],
    }

  def restore(self, memo: Mapping[str, Any]) -> bool:
    """Take over a memo; False, and no effect, where it is of other batches."""
    if memo.get("identity") != self.identity:
      return False
    self.learn([(fact[0], fact[1], fact[2]) for fact in memo["facts"]])
    return True

  @property
  def identity(self) -> str:
    """What the batches depend on, in short."""
    return f"{self._planner.identity}/{self.batch_size}"

  def facts(self, step: int) -> list[Fact]:
    """What this instance knows of where the rows of `step` lie."""
    return self._lanes.facts(step)

  def learn(self, facts: list[Fact]) -> None:
    """Take over another instance's `facts`."""
    self._lanes.learn(facts)


class _Steps:
  """The batches from a step on, as a random-access source for grain."""

  def __init__(
    self,
    pipeline: Pipeline,
    start: int,
    rows: slice | None,
    *,
    remote: bool,
  ) -> None:
    self._pipeline = pipeline
    self._start = start
    self._rows = rows
    self._remote = remote

  def __len__(self) -> int:
    return _ENDLESS

  def __getitem__(self, index: int) -> tuple[Batch, list[Any]]:
    step = self._start + operator.index(index)
    batch = self._pipeline.batch(step, self._rows)
    # A thread of this process has learnt them already.
    return batch, self._pipeline.facts(step) if self._remote else []


class TrainIterator(Iterator[Batch]):
  """Batches in the order of steps, prefetched; close it when done."""

  def __init__(self, pipeline: Pipeline, source: Any) -> None:
    self._pipeline = pipeline
    self._source = source

  def __next__(self) -> Batch:
    batch, facts = next(self._source)
    # A worker process found these out; the memo is made in this one.
    self._pipeline.learn(facts)
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
  """Batches of `start_step`, `start_step + 1`, …, made ahead of time.

  Args:
    pipeline: whose batches; it learns what its `memo` needs from them.
    start_step: the first step.
    workers: 0 prefetches in a thread; more start as many processes, which
      needs a `__main__` guard and parsed absl flags.
    prefetch: batches held ready, for each worker; at least 1.
    rows: the part of the global batch that this host feeds.
  """
  if workers < 0 or prefetch < 1:
    raise ValueError(
      f"data.workers={workers} data.prefetch={prefetch}; give at least 0 and 1"
    )
  # One thread: planning is Python, and more would only wait for each other.
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
