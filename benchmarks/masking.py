# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The cost of masking inside the train step.

    python -m benchmarks.masking [--size=base] [--batch_size=8]

The step of `benchmarks.train_step`, which masks its rows, takes turns with the
same step on rows that were masked before. Masking alone is measured as a share
of that step: its time, the operations that XLA counts (the body of a loop
once), and the instructions of its compiled program.
"""

import dataclasses
import statistics
import time
from typing import Any

import jax
from absl import app

from benchmarks import train_step
from bertjax.batch import Feature
from bertjax.config import SIZES, ObjectiveConfig, choices
from bertjax.objectives.masking import Masked
from bertjax.objectives.task import Features, Task
from launch import host_memory

ALONE = 30  # runs of masking alone


def measure_alone(compiled: Any, batch: Any) -> float:
  """Return the median seconds of a run, without compile time."""
  spent = []
  for _ in range(ALONE):
    begin = time.perf_counter()
    jax.block_until_ready(compiled(batch))
    spent.append(time.perf_counter() - begin)
  return statistics.median(spent)


def premask(task: Task) -> Task:
  """Return `task` for batches that hold the arrays of `Masked` themselves."""
  arrays = {
    "positions_BP": Feature("BP", "int32"),
    "targets_BP": Feature("BP", "int32"),
    "weights_BP": Feature("BP", "float32"),
    "kind_BP": Feature("BP", "int32"),
    "shortfall_B": Feature("B", "int32"),
  }

  def prepare(batch: Features) -> Features:
    masked = {name: batch[name] for name in Masked._fields}
    return {**batch, "masked": Masked(**masked)}

  return dataclasses.replace(
    task, features={**task.features, **arrays}, prepare=prepare
  )


def count(compiled: Any) -> tuple[float, int]:
  """Return the operations that XLA counts, and the number of instructions."""
  costs, text = compiled.cost_analysis(), compiled.as_text() or ""
  return costs.get("flops", 0.0), text.count(" = ")


def main(_: object) -> None:
  """Print a line for each unit that is masked."""
  host_memory.retain()
  config = dataclasses.replace(
    SIZES[train_step.SIZE.value], vocab_size=train_step.VOCAB_SIZE.value
  )
  batch = jax.device_put(train_step.make_batch(config.vocab_size))
  for unit in choices(ObjectiveConfig, "mask_unit"):
    task = train_step.make_task(
      config, dataclasses.replace(ObjectiveConfig(), mask_unit=unit)
    )
    compiled = jax.jit(task.prepare).lower(batch).compile()
    masked = jax.device_get(compiled(batch))
    masked |= masked.pop("masked")._asdict()
    premasked = premask(task)
    steps = {
      "masks": train_step.make_ours(config, task, jax.device_get(batch))[0],
      "premasked": train_step.make_ours(config, premasked, masked)[0],
    }
    seconds = train_step.interleave(steps)
    ratios = [
      mine[0] / theirs[0]
      for mine, theirs in zip(*seconds.values(), strict=True)
    ]
    base = statistics.median(spent[0] for spent in seconds["premasked"])
    alone = measure_alone(compiled, batch)
    operations, instructions = count(compiled)
    print(
      f"{unit:5s}: step {base:.3f} s pre-masked; masking it inside takes "
      f"{statistics.median(ratios):.3f} of that (median of {len(ratios)} "
      f"turns, {min(ratios):.3f} to {max(ratios):.3f}); alone "
      f"{1e3 * alone:.2f} ms, {alone / base:.2%} of the step; "
      f"{operations:.3g} operations, {instructions} instructions"
    )


if __name__ == "__main__":
  app.run(main)
