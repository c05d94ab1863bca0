# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The cost of masking inside the train step.

    python -m benchmarks.masking [--size=base] [--batch_size=8]

The step of `benchmarks.train_step`, which masks its rows, takes turns with the
same step on rows that were masked before. Masking alone is measured as a share
of that step: its time, also as a multiple of that of masking tokens, the
operations that XLA counts (the body of a loop once), and the instructions of
its compiled program.

With --alone no step is compiled or run, and masking alone is all that is timed.
"""

import dataclasses
import statistics
import time
from collections.abc import Mapping
from typing import Any

import jax
from absl import app, flags

from benchmarks import figures, train_step, turns
from bertjax.batch import Feature
from bertjax.config import SIZES, ModelConfig, ObjectiveConfig, choices
from bertjax.objectives.masking import Masked
from bertjax.objectives.task import Features, Task
from launch import host_memory

ALONE = flags.DEFINE_bool("alone", False, "Time masking without a step.")
TURNS = 30  # of masking alone


def measure_alone(
  compiled: Mapping[str, Any], batch: Any
) -> dict[str, list[float]]:
  """Return the seconds of each program in turn, without compile time."""
  spent: dict[str, list[float]] = {name: [] for name in compiled}
  for turn in range(TURNS + 2):
    for name, run in compiled.items():
      begin = time.perf_counter()
      jax.block_until_ready(run(batch))
      if turn >= 2:
        spent[name].append(time.perf_counter() - begin)
  return spent


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


def measure_step(
  config: ModelConfig, task: Task, batch: Features, masked: Features
) -> tuple[float, list[float]]:
  """Return the seconds of a step on masked rows, and ratios of ours, by turn.

  Args:
    config: shape of the model.
    task: masks its rows.
    batch: rows.
    masked: the same rows, masked.
  """
  steps = {
    "masks": train_step.make_ours(config, task, jax.device_get(batch))[0],
    "premasked": train_step.make_ours(config, premask(task), masked)[0],
  }
  seconds = turns.interleave(steps, train_step.ROUNDS.value)
  ratios = [
    mine[0] / theirs[0] for mine, theirs in zip(*seconds.values(), strict=True)
  ]
  return statistics.median(each[0] for each in seconds["premasked"]), ratios


def main(_: object) -> None:
  """Print a line for each unit that is masked."""
  host_memory.retain()
  config = dataclasses.replace(
    SIZES[train_step.SIZE.value], vocab_size=train_step.VOCAB_SIZE.value
  )
  batch = jax.device_put(train_step.make_batch(config.vocab_size))
  units = {
    unit: train_step.make_task(
      config, dataclasses.replace(ObjectiveConfig(), mask_unit=unit)
    )
    for unit in choices(ObjectiveConfig, "mask_unit")
  }
  compiled = {
    unit: jax.jit(task.prepare).lower(batch).compile()
    for unit, task in units.items()
  }
  spent = measure_alone(compiled, batch)
  for unit, task in units.items():
    alone = statistics.median(spent[unit])
    times = statistics.median(
      mine / token
      for mine, token in zip(spent[unit], spent["token"], strict=True)
    )
    operations, instructions = count(compiled[unit])
    text = (
      f"{unit:5s}: alone {1e3 * alone:.2f} ms, {times:.2f} of masking tokens "
      f"(median of {TURNS} turns); {operations:.3g} operations, "
      f"{instructions} instructions"
    )
    if not ALONE.value:
      masked = jax.device_get(compiled[unit](batch))
      masked |= masked.pop("masked")._asdict()
      base, ratios = measure_step(config, task, batch, masked)
      text += (
        f"; {alone / base:.2%} of a step of {base:.3f} s on masked rows; "
        f"masking them inside takes {statistics.median(ratios):.3f} of that "
        f"(median of {len(ratios)} turns, {min(ratios):.3f} to "
        f"{max(ratios):.3f})"
      )
    print(text, flush=True)
    figures.record(figures.Figure(f"masking by {unit}", 1e3 * alone, "ms"))


if __name__ == "__main__":
  app.run(main)
