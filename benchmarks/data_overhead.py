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
from typing import Any

# Before JAX starts a backend.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
from absl import app, flags

from benchmarks.made_up_store import make_store
from benchmarks.train_step import make_vocabulary
from bertjax import optim
from bertjax.batch import ENCODER_FEATURES, Batch, empty_batch
from bertjax.config import (
  SIZES,
  DataConfig,
  MeshConfig,
  ObjectiveConfig,
  OptimizerConfig,
)
from bertjax.model import BertForPreTraining
from bertjax.objectives import masking
from bertjax.objectives.pretraining import pretraining_task
from bertjax.parallel import feeding
from bertjax.parallel.mesh import make_mesh
from bertjax.train import state, step
from data_pipelines.rows.pipeline import PretrainingPipeline, train_iterator
from data_pipelines.store.store import Store, open_store
from launch import host_memory

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
    objective, settings = ObjectiveConfig(), OptimizerConfig()
    model = BertForPreTraining(config)
    task = pretraining_task(
      model,
      objective,
      make_vocabulary(vocab_size),
      slots=masking.num_slots(length, packs, objective.mask_rate),
    )
    optimizer = optim.make_optimizer(
      settings, optim.make_schedule(settings, 1_000_000)
    )
    self._mesh = make_mesh(MeshConfig(), jax.devices()[:1])

    def init_params(key: jax.Array) -> Any:
      features = empty_batch(ENCODER_FEATURES, {"B": 1, "S": length, "R": 1})
      one = np.zeros((1, 1), np.int32)
      return model.init(key, features, one, deterministic=True)["params"]

    self._state = state.make_state(init_params, optimizer, self._mesh, seed=0)
    self._step: Any = step.make_train_step(
      task, optimizer, self._mesh, self._state, step.StepOptions()
    )

  def step(self, batches: Iterator[Batch]) -> tuple[float, float]:
    """Run a step; return seconds waited for a batch, and seconds of all."""
    begin = time.perf_counter()
    batch = next(batches)
    waited = time.perf_counter() - begin
    placed = feeding.put_batch(batch, self._mesh)
    self._state, metrics = self._step(self._state, placed)
    jax.block_until_ready((self._state, metrics))
    return waited, time.perf_counter() - begin


def measure(store: Store) -> None:
  """Time both kinds of steps in turns, and print medians."""
  length, rows = flags.FLAGS.seq_length, flags.FLAGS.batch_size
  pipeline = PretrainingPipeline(
    store,
    "train",
    objective=ObjectiveConfig(next_sentence="nsp"),
    data=DataConfig(seq_length=length),
    batch_size=rows,
    seed=0,
  )
  first = pipeline.batch(0)
  trainer = Trainer(first, store.vocab_size, flags.FLAGS.size)
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
    f"BERT-{flags.FLAGS.size} S={length} B={rows}: step "
    f"{base * 1e3:.1f} ms on one batch; with the pipeline "
    f"{statistics.median(ratios):.4f} of that (median of {len(ratios)} turns); "
    f"waits {waited / sum(clock['pipeline']):.3%} of the time; a batch takes "
    f"{each * 1e3:.2f} ms of processor time, {each / base:.2%} of a step"
  )


def main(argv: list[str]) -> None:
  """Open or write a store, and measure."""
  del argv
  host_memory.retain()
  with tempfile.TemporaryDirectory() as folder:
    if STORE.value:
      measure(open_store(STORE.value))
    else:
      measure(make_store(pathlib.Path(folder), 4_000_000))


if __name__ == "__main__":
  app.run(main)
