# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a train step goes: its operations, by JAX's profiler.

    python -m benchmarks.step_profile [--size=base] [--dtype=…] [--unroll=…]
    python -m benchmarks.step_profile --inference [--size=base]

The step is that of `benchmarks.train_step`, with its flags; with
`--inference` it is the forward pass of `benchmarks.inference`. An operation of
the compiled program is named by what it is and by the part of the model that it
comes from; a fusion by the part of its result. An operation counts from its
start to its end, and operations run side by side: their milliseconds sum to
more than the step takes.
"""

import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable

# Before JAX starts a backend.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from absl import app, flags

from benchmarks import inference, operations, steps, train_step
from bertjax.batch import Batch
from bertjax.config import (
  SIZES,
  ModelConfig,
  ObjectiveConfig,
  OptimizerConfig,
)
from bertjax.interop.architectures import init
from bertjax.model import BertForPreTraining
from bertjax.parallel import feeding
from launch import host_memory

INFERENCE = flags.DEFINE_bool(
  "inference", False, "Profile the encoder's forward pass, without dropout."
)
_STEPS = 3
# A compiled program, and what runs it once.
Program = tuple[jax.stages.Compiled, Callable[[], None]]


def make_step(config: ModelConfig, rows: Batch) -> Program:
  """Return the train step of `rows`."""
  task = train_step.make_task(config, ObjectiveConfig())
  carried, jitted, mesh = steps.make_train_step(
    config, task, train_step.SEQ_LENGTH.value, OptimizerConfig(name="adamw")
  )
  batch = feeding.put_batch(rows, mesh)
  compiled = jitted.lower(carried, batch).compile()

  def run() -> None:
    nonlocal carried
    carried, metrics = compiled(carried, batch)
    jax.block_until_ready((carried, metrics))

  return compiled, run


def make_forward(config: ModelConfig, rows: Batch) -> Program:
  """Return the forward pass of the encoder."""
  params = jax.device_get(init(BertForPreTraining(config), jax.random.key(0)))
  compiled, placed = inference.compile_ours(
    config, params, rows, train_step.DTYPE.value
  )
  return compiled, lambda: jax.block_until_ready(compiled(*placed))


def main(_: object) -> None:
  """Trace steps, print the table."""
  config = dataclasses.replace(
    SIZES[train_step.SIZE.value], vocab_size=train_step.VOCAB_SIZE.value
  )
  make = make_forward if INFERENCE.value else make_step
  compiled, run = make(config, train_step.make_batch(config.vocab_size))
  seconds = []
  with tempfile.TemporaryDirectory() as folder:
    for number in range(2 * _STEPS):
      if number == _STEPS:
        jax.profiler.start_trace(folder)
      begin = time.perf_counter()
      run()
      seconds.append(time.perf_counter() - begin)
    jax.profiler.stop_trace()
    rows = operations.add_up(
      operations.read_trace(folder),
      operations.names_of(compiled.as_text() or ""),
    )
  whole = sum(rows.values())
  print(
    f"BERT-{train_step.SIZE.value}, {train_step.BATCH_SIZE.value} × "
    f"{train_step.SEQ_LENGTH.value}, {train_step.DTYPE.value}: "
    f"{1e3 * statistics.median(seconds[_STEPS:]):.1f} ms, "
    f"{whole / _STEPS / 1e3:.1f} ms of operations"
  )
  for name, spent in rows.most_common():
    print(f"{spent / _STEPS / 1e3:9.1f} ms {spent / whole:6.1%}  {name}")


if __name__ == "__main__":
  host_memory.retain()
  app.run(main)
