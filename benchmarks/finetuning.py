# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What packing, frozen layers and seeds in one program save in fine-tuning.

    python -m benchmarks.finetuning --bundle=DIR --train=banking77/train.csv \
      --text=text --label=category [--seq_length=128] [--batch_size=32]

Train steps of the same examples take turns: one example a row, several in a
row, these with the lower half of the encoder frozen, and several seeds at
once in one step. Each is given in seconds a step of one seed, the median of the
turns, and as a ratio to the first.
"""

import dataclasses
import pathlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from absl import flags

from bertjax.checkpoints import bundle as bundles
from bertjax.config import (
  FinetuneConfig,
  FinetuneOptimizerConfig,
  LayersConfig,
  TaskConfig,
)
from bertjax.finetune import checks
from bertjax.finetune.arm import Arm
from bertjax.finetune.together import training_batch
from bertjax.finetune.trial import TrialInputs
from bertjax.parallel import feeding
from bertjax.train import joint
from bertjax.trials.markdown import markdown
from launch import cli, host_memory, tasks

SEEDS = 5


class Way(NamedTuple):
  """One way to train.

  Attributes:
    rows: rows of a batch.
    run: trains for a turn of some steps.
    seeds: seeds that are trained at once.
  """

  rows: int
  run: Callable[[int], None]
  seeds: int = 1


def make_inputs(config: FinetuneConfig, bundle: str) -> TrialInputs:
  """Return the data and programs of a run."""
  info = bundles.read_pretrained(bundle)
  task = tasks.find(config.task)
  config = checks.with_metric(config, task)
  data, sha256 = tasks.load_data(config, info.model, info.tokenizer_path)
  return Arm(task, data, info, config, "bundle", sha256).make_inputs()


def one_seed(inputs: TrialInputs) -> Way:
  """Train with one seed."""
  programs = inputs.programs
  step = programs.train_step_of(0)
  state = inputs.start(0)

  def run(steps: int) -> None:
    nonlocal state
    metrics: Any = None
    for number in range(steps):
      batch = feeding.put_batch(inputs.train(0, number), programs.mesh)
      state, metrics = step(state, batch)
    jax.block_until_ready(metrics)

  return Way(len(inputs.train(0, 0)["packs_BS"]), run)


def mapped_seeds(inputs: TrialInputs, count: int) -> Way:
  """Train with several seeds in one step, as `runs_at_once` does."""
  programs, seeds = inputs.programs, range(count)
  state = joint.stack_states((inputs.start(s) for s in seeds), count)
  step = programs.joint_step_of(seeds)

  def run(steps: int) -> None:
    nonlocal state
    metrics: Any = None
    for number in range(steps):
      batch = training_batch(inputs, seeds, number)
      placed = feeding.put_batch(batch, programs.mesh)
      state, metrics = step(state, placed)
    jax.block_until_ready(metrics)

  return Way(len(inputs.train(0, 0)["packs_BS"]), run, count)


def make_ways(config: FinetuneConfig, bundle: str) -> dict[str, Way]:
  """Return the ways by name."""
  layers = bundles.read_pretrained(bundle).model.num_layers
  padded = dataclasses.replace(config, pack=False)
  frozen = dataclasses.replace(config, layers=LayersConfig(frozen=layers // 2))
  packed = make_inputs(config, bundle)
  return {
    "one example a row": one_seed(make_inputs(padded, bundle)),
    "packed": one_seed(packed),
    "packed, lower half frozen": one_seed(make_inputs(frozen, bundle)),
    f"packed, {SEEDS} seeds at once": mapped_seeds(packed, SEEDS),
  }


def measure(
  ways: dict[str, Way], steps: int, turns: int
) -> dict[str, list[float]]:
  """Return seconds a step of one seed, for each turn of each way."""
  for way in ways.values():
    way.run(1)  # compiles
  seconds: dict[str, list[float]] = {name: [] for name in ways}
  for _ in range(turns):
    for name, way in ways.items():
      start = time.perf_counter()
      way.run(steps)
      spent = time.perf_counter() - start
      seconds[name].append(spent / steps / way.seeds)
  return seconds


def table(
  ways: dict[str, Way], seconds: dict[str, list[float]], batch_size: int
) -> str:
  """Return a Markdown table of medians and ratios to the first way."""
  first = next(iter(seconds.values()))
  rows = []
  for name, spent in seconds.items():
    ratios = [a / b for a, b in zip(spent, first, strict=True)]
    median = statistics.median(spent)
    rows.append(
      [
        name,
        str(ways[name].rows),
        f"{median:.3f}",
        f"{batch_size / median:.0f}",
        f"{statistics.median(ratios):.2f}",
      ]
    )
  return markdown(["way", "rows", "s/step", "examples/s", "ratio"], rows)


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  flags.DEFINE_string("bundle", None, "Encoder.", required=True)
  flags.DEFINE_string("train", None, "Table of labeled texts.")
  flags.DEFINE_string("text", "text", "Column of the texts.")
  flags.DEFINE_string("label", "label", "Column of the labels.")
  flags.DEFINE_integer("seq_length", 128, "Positions of a row.")
  flags.DEFINE_integer("batch_size", 32, "Examples of a batch.")
  flags.DEFINE_integer("steps", 4, "Steps of a turn.")
  flags.DEFINE_integer("turns", 5, "Turns.")


def main(_: Sequence[str]) -> None:
  """Measure and print."""
  task = TaskConfig(labels_per_class=20)
  if flags.FLAGS.train:
    train = str(pathlib.Path(flags.FLAGS.train))
    task = TaskConfig(
      kind="table", train=train, text=flags.FLAGS.text, label=flags.FLAGS.label
    )
  config = FinetuneConfig(
    task=task,
    seq_length=flags.FLAGS.seq_length,
    batch_size=flags.FLAGS.batch_size,
    steps=100,
    seeds=SEEDS,
    optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
  )
  ways = make_ways(config, flags.FLAGS.bundle)
  seconds = measure(ways, flags.FLAGS.steps, flags.FLAGS.turns)
  print(table(ways, seconds, config.batch_size), flush=True)


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
