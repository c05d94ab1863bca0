# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The time of a train step per FLOP: a family's encoder beside BERT's.

    python -m benchmarks.families [--family=modernbert] [--size=base]
    python -m benchmarks.families --family=albert --compile_only

Both train on the same full rows with the family's dropout, without a pooler's
pair loss where it has none. They take turns, step by step, so that other load
on the machine slows both; what is compared is the median of the ratios of
turns, of seconds over the model FLOPs of `bertjax.train.flops`: of wall time,
and of the processor time of this process.

`--layers` cuts both down where a whole model is too much for the machine; the
ratio of a layer to the head is then another one.

With `--compile_only` nothing runs: the step of the family's layers is compiled
beside that of a single layer, in turns without the cache.
"""

import dataclasses
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

# Before JAX starts a backend.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from absl import app, flags

from benchmarks import steps
from bertjax.config import SIZES, ComputeConfig, ModelConfig, ObjectiveConfig
from bertjax.config.checks import open_choices
from bertjax.parallel import feeding
from bertjax.train import flops as counting
from configs.families import FAMILIES
from launch import host_memory

FAMILY = flags.DEFINE_enum(
  "family", "modernbert", list(FAMILIES), "Whose encoder is compared."
)
SIZE = flags.DEFINE_string("size", "base", "Size of both.")
LAYERS = flags.DEFINE_integer("layers", 0, "Layers of both; 0: as published.")
VOCAB_SIZE = flags.DEFINE_integer("vocab_size", 30522, "Tokens of both.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 2, "Rows of a step.")
SEQ_LENGTH = flags.DEFINE_integer("seq_length", 512, "Tokens of a row.")
DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Dtype.")
ATTENTION = flags.DEFINE_enum(
  "attention", "xla", ["xla", "splash"], "Kernel of both; splash on TPUs."
)
ROUNDS = flags.DEFINE_integer(
  "rounds", 7, "Timed steps of each, after two untimed."
)
COMPILE_ONLY = flags.DEFINE_bool(
  "compile_only", False, "Time compiles of the family's layers and of one."
)


def make_model(family: str, layers: int = 0) -> ModelConfig:
  """Return an encoder of a family, whose dropout is that of `FAMILY`."""
  given = FAMILIES[family]
  model = ModelConfig(**{**given.choices, **given.sizes[SIZE.value]})
  rates = ModelConfig(**FAMILIES[FAMILY.value].choices)
  return dataclasses.replace(
    model,
    num_layers=layers or LAYERS.value or model.num_layers,
    vocab_size=VOCAB_SIZE.value,
    hidden_dropout_rate=rates.hidden_dropout_rate,
    attention_dropout_rate=rates.attention_dropout_rate,
    pooler=rates.pooler,
  )


class Contender:
  """A model and its train step.

  Attributes:
    compile_seconds: time to compile the step, of the clock and of the
      processors.
    flops: model FLOPs of a step.
  """

  def __init__(self, model: ModelConfig) -> None:
    """Compile the step."""
    length, rows = SEQ_LENGTH.value, BATCH_SIZE.value
    slots = steps.slots_for(length, 1)
    given: Any = DTYPE.value, ATTENTION.value
    compute = open_choices.resolve(
      ComputeConfig(given[0], attention=given[1]),
      model,
      jax.devices()[:1],
      length,
    )
    objective = ObjectiveConfig(next_sentence="nsp" if model.pooler else "off")
    task = steps.make_task(model, compute, objective, slots)
    self._state, jitted, mesh = steps.make_train_step(model, task, length)
    batch = steps.make_batch(
      model.vocab_size, length, steps.full_rows(rows, length)
    )
    self._batch = feeding.put_batch(batch, mesh)
    begin = time.perf_counter(), time.process_time()
    self._step: Callable[..., tuple[object, object]] = jitted.lower(
      self._state, self._batch
    ).compile()
    self.compile_seconds = (
      time.perf_counter() - begin[0],
      time.process_time() - begin[1],
    )
    reach = counting.kernel_reach(model, compute)
    self.flops = counting.train_flops(
      model, counting.full_counts(rows, length, reach=reach), rows * slots
    )

  def run(self) -> tuple[float, float]:
    """Run one step; return its seconds of wall and of processor time."""
    begin = time.perf_counter(), time.process_time()
    self._state, metrics = self._step(self._state, self._batch)
    jax.block_until_ready((self._state, metrics))
    return time.perf_counter() - begin[0], time.process_time() - begin[1]


def compare_steps() -> None:
  """Run the steps of both in turn, and print their time per FLOP."""
  pair = {
    name: Contender(make_model(name))
    for name in dict.fromkeys(("bert", FAMILY.value))
  }
  seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in pair}
  for turn in range(ROUNDS.value + 2):
    for name, contender in pair.items():
      spent = contender.run()
      if turn >= 2:
        seconds[name].append(spent)
  for name, contender in pair.items():
    median = statistics.median(wall for wall, _ in seconds[name])
    print(
      f"{name:10s} median {median:.3f} s/step, {contender.flops / 1e9:.1f} "
      f"GFLOP, {contender.flops / median / 1e9:.0f} GFLOP/s, compiled in "
      f"{contender.compile_seconds[0]:.1f} s"
    )
  ours, bert = seconds[FAMILY.value], seconds["bert"]
  work = pair["bert"].flops / pair[FAMILY.value].flops
  for column, what in enumerate(("seconds", "processor seconds")):
    ratios = [
      work * a[column] / b[column] for a, b in zip(ours, bert, strict=True)
    ]
    print(
      f"{FAMILY.value} / bert, {what} per FLOP: median of {len(ratios)} turns "
      f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to "
      f"{max(ratios):.3f})"
    )


def compare_compiles() -> None:
  """Compile the family's layers and one layer in turn, and print seconds."""
  jax.config.update("jax_enable_compilation_cache", False)
  layers = make_model(FAMILY.value).num_layers
  seconds: dict[int, list[tuple[float, float]]] = {layers: [], 1: []}
  for _ in range(ROUNDS.value):
    for count, spent in seconds.items():
      made = Contender(make_model(FAMILY.value, count))
      spent.append(made.compile_seconds)
      jax.clear_caches()
  for column, what in enumerate(("seconds", "processor seconds")):
    all_, one = (
      [spent[column] for spent in found] for found in seconds.values()
    )
    ratios = [a / b for a, b in zip(all_, one, strict=True)]
    print(
      f"{layers} layers {statistics.median(all_):.1f}, 1 layer "
      f"{statistics.median(one):.1f} {what} to compile: median of "
      f"{len(ratios)} turns {statistics.median(ratios):.3f} "
      f"({min(ratios):.3f} to {max(ratios):.3f})"
    )


def main(_: object) -> None:
  """Compare a family with BERT, or its layers with one."""
  if SIZE.value not in SIZES or SIZE.value not in FAMILIES[FAMILY.value].sizes:
    raise app.UsageError(
      f"--size={SIZE.value} is no size of both BERT and {FAMILY.value}; give "
      "base"
    )
  host_memory.retain()
  print(
    f"{FAMILY.value}-{SIZE.value} beside BERT-{SIZE.value}, V="
    f"{VOCAB_SIZE.value} B={BATCH_SIZE.value} S={SEQ_LENGTH.value} "
    f"{DTYPE.value}, {os.cpu_count()} cores"
  )
  if COMPILE_ONLY.value:
    compare_compiles()
  else:
    compare_steps()


if __name__ == "__main__":
  app.run(main)
