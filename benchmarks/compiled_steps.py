# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""What a train step costs, told without a clock, against what is recorded.

    python -m benchmarks.compiled_steps
    python -m benchmarks.compiled_steps --update --reason='why it costs more'

Compiles train steps of small models for eight virtual CPU devices and takes
four of them: FLOPs, bytes and temporaries by the compiler, collectives in its
program, and what the loop compiles and reads from the device. Prints what grew,
and exits with 1. Figures depend on the compiler, so those of other versions of
jax and jaxlib are not compared. --update records figures, and the reason why
what grew may grow.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

from absl import app, flags

from bertjax import files

if TYPE_CHECKING:
  from bertjax.config import PretrainConfig

RECORD = pathlib.Path(__file__).with_suffix(".json")
ROOT = pathlib.Path(__file__).parents[1]
# The same programs on any x86: neither the instructions nor the cores of this
# processor count. Machine code is not optimized, because only the steps before
# it are measured.
_ENVIRONMENT = {
  "JAX_PLATFORMS": "cpu",
  # A program that is loaded reports no costs.
  "JAX_ENABLE_COMPILATION_CACHE": "false",
  "TPU_SKIP_MDS_QUERY": "1",
  "PJRT_NPROC": "2",
  "XLA_FLAGS": (
    "--xla_force_host_platform_device_count=8 --xla_cpu_max_isa=AVX2 "
    "--xla_backend_optimization_level=0"
  ),
}
_COMPILES = "/jax/core/compile/backend_compile_duration"
_STEPS = 4  # that are taken, in two calls of the loop
_VOCABULARY = 512
_LENGTH = 32
# Counts may not grow at all. The other figures may grow by this much, since any
# change of the model moves them a little.
SLACK = 1.02
_EXACT = ("count", "compiles", "reads")

# Name of a case → name of a figure → value.
Figures = Mapping[str, Mapping[str, float]]


def compiler() -> str:
  """Return what figures depend on beside the code."""
  versions = (f"{name} {metadata.version(name)}" for name in ("jax", "jaxlib"))
  return ", ".join((*versions, platform.machine()))


def measure(*cases: str) -> dict[str, dict[str, float]]:
  """Return the figures of cases, measured in a process of its own.

  Args:
    cases: their names; none: all.
  """
  command = [sys.executable, "-m", "benchmarks.compiled_steps", "--measure"]
  done = subprocess.run(
    [*command, f"--cases={','.join(cases)}"],
    cwd=ROOT,
    env={**os.environ, **_ENVIRONMENT},
    capture_output=True,
    text=True,
    check=False,
  )
  if done.returncode:
    raise RuntimeError(done.stderr)
  return json.loads(done.stdout.splitlines()[-1])


def grown(before: Figures, now: Figures) -> list[str]:
  """Return a line for each figure that has grown, or is new."""
  lines = []
  for case, figures in now.items():
    for name, value in figures.items():
      known = before.get(case, {}).get(name, 0)
      exact = any(word in name for word in _EXACT)
      if value > known * (1 if exact else SLACK):
        lines.append(f"{case}: {name} grew from {known:,} to {value:,}")
  return lines


def read(path: pathlib.Path = RECORD) -> dict[str, Any]:
  """Return what is recorded: {compiler: {"figures", "reasons"}}."""
  return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def update(
  now: Figures, reason: str, path: pathlib.Path = RECORD, by: str = ""
) -> dict[str, Any]:
  """Record the figures of a compiler.

  Args:
    now: the figures.
    reason: why figures that grew may grow.
    path: file of the records.
    by: the compiler; "" for `compiler`.

  Returns:
    The record of the compiler.

  Raises:
    ValueError: figures grew and no reason is given.
  """
  by = by or compiler()
  records = read(path)
  before = records.get(by, {"figures": {}, "reasons": []})
  worse = grown(before["figures"], now)
  reasons = list(before["reasons"])
  if worse and not reason.strip():
    raise ValueError(
      f"{'; '.join(worse)}; say why that is right with --reason=…"
    )
  if reason.strip():
    reasons.append(reason.strip())
  records[by] = {"figures": now, "reasons": reasons}
  files.write_json(path, records, allow_nan=False)
  return records[by]


def make_configs() -> dict[str, "PretrainConfig"]:
  """Return the cases: BERT with ZeRO-1 and micro-batches, and ModernBERT.

  BERT comes in bfloat16 as well, whose casts and collectives are others.
  """
  from bertjax.config import (
    ComputeConfig,
    DataConfig,
    MeshConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    PretrainConfig,
  )
  from configs.families import FAMILIES

  sizes: dict[str, Any] = {
    "num_layers": 3,
    "hidden_size": 64,
    "num_heads": 2,
    "intermediate_size": 128,
    "vocab_size": _VOCABULARY,
  }
  bert = PretrainConfig(
    batch_size=32,
    steps=_STEPS,
    model=ModelConfig(**sizes),
    data=DataConfig(seq_length=_LENGTH, max_packs=1),
    objective=ObjectiveConfig(next_sentence="nsp"),
    optimizer=OptimizerConfig(name="lamb", warmup_steps=1, accumulation=2),
    mesh=MeshConfig(zero1=True),
    compute=ComputeConfig(attention="xla"),
  )
  choices = {**FAMILIES["modernbert"].choices, "attention_window": 16}
  modern = dataclasses.replace(
    bert,
    model=ModelConfig(**{**choices, **sizes}),
    objective=ObjectiveConfig(next_sentence="off"),
    optimizer=OptimizerConfig(name="adamw", warmup_steps=1),
    mesh=MeshConfig(),
  )
  narrow = dataclasses.replace(
    bert, compute=dataclasses.replace(bert.compute, dtype="bfloat16")
  )
  return {"bert": bert, "bert_bfloat16": narrow, "modernbert": modern}


def measure_case(config: "PretrainConfig") -> dict[str, float]:
  """Return the figures of a config, in this process."""
  import jax

  from benchmarks import steps
  from bertjax.train import loop
  from bertjax.train.program import make_program

  program = make_program(config, steps.make_vocabulary(_VOCABULARY))
  phase = program.for_phase(config)
  train_step = phase.train_step
  compiled = train_step.lower(
    program.abstract_state(), phase.abstract_batch()
  ).compile()
  state = program.make_state()
  rows = steps.full_rows(config.batch_size, _LENGTH)
  batch = steps.make_batch(_VOCABULARY, _LENGTH, rows)
  found = of_program(compiled, jax.device_count())
  for name, last in (("first", _STEPS // 2), ("later", _STEPS)):
    with _counting() as counts:
      state = loop.train(
        state,
        train_step=train_step,
        batches=lambda _: iter([batch] * _STEPS),
        steps=last,
        mesh=program.mesh,
      )
    found |= {f"{what}, {name} steps": counts[what] for what in counts}
  return found


def of_program(compiled: Any, num_devices: int) -> dict[str, float]:
  """Return what a compiled program says of itself."""
  from bertjax.plan.hlo import collectives, parsing, products

  module = parsing.parse(compiled.as_text())
  cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
  found = {
    "FLOPs, a loop's body once": cost["flops"],
    "FLOPs of products": products.matmul_flops(module),
    "bytes accessed, a loop's body once": cost["bytes accessed"],
    "bytes of temporaries": memory.temp_size_in_bytes,
    "bytes of arguments": memory.argument_size_in_bytes,
    "bytes of outputs that are not donated": (
      memory.output_size_in_bytes - memory.alias_size_in_bytes
    ),
  }
  for row in collectives.by_kind(collectives.find(module, num_devices)):
    name = f"{row.kind} {row.dtype} of {row.group}"
    for what, value in (("count", row.count), ("bytes", row.bytes)):
      found[f"{name}, {what}"] = found.get(f"{name}, {what}", 0) + value
  return found


@contextlib.contextmanager
def _counting() -> Iterator[dict[str, int]]:
  """Count programs that are compiled, and arrays that the host reads."""
  import jax
  import jax.monitoring
  import jax.numpy as jnp

  counts = {"compiles": 0, "reads": 0}

  def listen(event: str, duration_secs: float, **_: Any) -> None:
    del duration_secs
    counts["compiles"] += event == _COMPILES

  # Each way to read an array goes through it, and waits for the device.
  array: Any = type(jnp.zeros(()))
  read_value = array._value

  def count_and_read(self: Any) -> Any:
    counts["reads"] += 1
    return read_value.fget(self)

  jax.monitoring.register_event_duration_secs_listener(listen)
  array._value = property(count_and_read)
  try:
    yield counts
  finally:
    array._value = read_value
    jax.monitoring.unregister_event_duration_listener(listen)


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  flags.DEFINE_bool("measure", False, "Print figures as JSON, and no more.")
  flags.DEFINE_bool("update", False, "Record the figures.")
  flags.DEFINE_string("reason", "", "Why figures that grew may grow.")


def main(_: list[str]) -> None:
  """Measure, and compare or record."""
  values = flags.FLAGS
  if values.measure:
    configs = make_configs()
    names = values.cases or configs
    print(json.dumps({name: measure_case(configs[name]) for name in names}))
    return
  conclude(measure(), RECORD, compiler())


def conclude(now: Figures, path: pathlib.Path, by: str) -> None:
  """Record the figures of a compiler, or compare them, as the flags say."""
  values = flags.FLAGS
  if values.update:
    try:
      update(now, values.reason, path, by)
    except ValueError as error:
      sys.exit(f"error: {error}")
    print(f"recorded for {by}")
    return
  before = read(path).get(by)
  if before is None:
    print(f"nothing is recorded for {by}; --update records it")
    return
  if worse := grown(before["figures"], now):
    sys.exit("\n".join(worse))
  print(f"nothing grew, by {by}")


if __name__ == "__main__":
  define_flags()
  flags.DEFINE_list("cases", [], "What --measure measures; none: all.")
  app.run(main)
