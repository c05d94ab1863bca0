# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Measure what real batches add to a train step.

    python -m benchmarks.data_overhead [--store=DIR] [--size=mini]

Runs the step of `benchmarks.train_step` on one batch repeatedly, in turns with
the same step on batches of `train_iterator` that are put on the device as
`launch.pretrain` does it. Prints the median of the ratios, the share of time
that the loop waits for a batch, and the processor time of a batch over the time
of a step. On a CPU the step takes every core, and the two compete. Beside an
accelerator only the last figure matters: the step never waits while the figure
is below the number of cores of the host.
"""

import dataclasses
import itertools
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Iterator

# Before JAX starts a backend.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from absl import app, flags

from benchmarks import figures
from benchmarks.made_up_store import make_store
from benchmarks.steps import make_train_step, make_vocabulary
from bertjax.batch import Batch
from bertjax.config import SIZES, DataConfig, ObjectiveConfig
from bertjax.model import BertForPreTraining
from bertjax.objectives import masking
from bertjax.objectives.pretraining import pretraining_task
from bertjax.parallel import feeding
from data_pipelines.rows.pipeline import PretrainingPipeline, train_iterator
from data_pipelines.store.store import Store, open_store
from launch import host_memory

SIZE = flags.DEFINE_enum("size", "base", list(SIZES), "Shape of the model.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Rows of a step.")
SEQ_LENGTH = flags.DEFINE_integer("seq_length", 128, "Tokens of a row.")
STORE = flags.DEFINE_string("store", "", "A prepared store.")
STEPS = flags.DEFINE_integer(
  "steps", 40, "Timed steps of each kind, after three."
)
PREFETCH = flags.DEFINE_integer("prefetch", 4, "Batches held ready.")
_WARM = 3


class Trainer:
  """The train step of a fresh model, on batches of one shape."""

  def __init__(self, batch: Batch, vocab_size: int, size: str) -> None:
    config = dataclasses.replace(SIZES[size], vocab_size=vocab_size)
    length, packs = batch["tokens_BS"].shape[1], batch["starts_BR"].shape[1]
    objective = ObjectiveConfig()
    task = pretraining_task(
      BertForPreTraining(config),
      objective,
      make_vocabulary(vocab_size),
      slots=masking.num_slots(length, packs, objective.mask_rate),
    )
    self._state, self._step, self._mesh = make_train_step(config, task, length)

  def step(self, batches: Iterator[Batch]) -> tuple[float, float]:
    """Run a step; return the seconds of waiting for a batch, and of all."""
    begin = time.perf_counter()
    batch = next(batches)
    waited = time.perf_counter() - begin
    placed = feeding.put_batch(batch, self._mesh)
    self._state, metrics = self._step(self._state, placed)
    jax.block_until_ready((self._state, metrics))
    return waited, time.perf_counter() - begin


def measure(store: Store) -> None:
  """Time both kinds of steps in turns, and print medians."""
  length, rows = SEQ_LENGTH.value, BATCH_SIZE.value
  pipeline = PretrainingPipeline(
    store,
    "train",
    objective=ObjectiveConfig(next_sentence="nsp"),
    data=DataConfig(seq_length=length),
    batch_size=rows,
    seed=0,
  )
  first = pipeline.batch(0)
  trainer = Trainer(first, store.vocab_size, SIZE.value)
  with train_iterator(pipeline, 0, prefetch=PREFETCH.value) as real:
    contenders = {"one batch": itertools.repeat(first), "pipeline": real}
    spent: dict[str, list[tuple[float, float]]] = {
      name: [] for name in contenders
    }
    for turn in range(STEPS.value + _WARM):
      for name, batches in contenders.items():
        seconds = trainer.step(batches)
        if turn >= _WARM:
          spent[name].append(seconds)
  clock = {
    name: [seconds for _, seconds in found] for name, found in spent.items()
  }
  ratios = [theirs / ours for ours, theirs in zip(*clock.values(), strict=True)]
  waited = sum(found[0] for found in spent["pipeline"])
  begin = time.process_time()
  for number in range(STEPS.value):
    pipeline.batch(_WARM + STEPS.value + number)
  each = (time.process_time() - begin) / STEPS.value
  base = statistics.median(clock["one batch"])
  print(
    f"BERT-{SIZE.value} S={length} B={rows}: step "
    f"{base * 1e3:.1f} ms on one batch; with the pipeline "
    f"{statistics.median(ratios):.4f} of that (median of {len(ratios)} turns); "
    f"waits {waited / sum(clock['pipeline']):.3%} of the time; a batch takes "
    f"{each * 1e3:.2f} ms of processor time, {each / base:.2%} of a step"
  )
  figures.record(
    figures.Figure(
      f"waiting for a batch, BERT-{SIZE.value} {rows} × {length}",
      100 * waited / sum(clock["pipeline"]),
      "%",
    )
  )


def main(_: object) -> None:
  """Open or write a store, and measure."""
  host_memory.retain()
  with tempfile.TemporaryDirectory() as folder:
    measure(
      open_store(STORE.value)
      if STORE.value
      else make_store(pathlib.Path(folder), 4_000_000)
    )


if __name__ == "__main__":
  app.run(main)
