# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plan one train step of BERT in a process of its own, and cache the plan.

    python -m benchmarks.ahead_of_time --case='{"kind": "v5e", "chips": 16}'

prints the plan as JSON, and its figures in a line on standard error. Other
benchmarks call `measure`, which reads a plan from `--cache` if the code and the
compiler have not changed since.

    python -m benchmarks.ahead_of_time --attention=flash

compiles the default case, BERT-large at 512 tokens on 16 chips of v5e, with the
attention of `model/ops/flash_attention.py`, which drops weights in a kernel.
`--attention=splash` compiles it without dropout of attention weights, because
that kernel has none; give `--case='{"attention": "xla", "attention_dropout":
0}'` for the compiler's own attention beside it.

    python -m benchmarks.ahead_of_time --figures

prints a table for BERT-large at 512 tokens on 16 chips of v5e, with dropout
from draws of 16 and of 8 bits: HBM traffic, temporaries, FLOPs against the
formula, and the most rows a chip without recomputation. `benchmarks/log.md` has
its figures, before and after. It compiles ten steps, each in a minute or two of
a quiet core; --attention holds for all of them.
"""

import bisect
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from absl import app, flags

from bertjax.config import ComputeConfig, choices
from bertjax.plan.results import PhasePlan

if TYPE_CHECKING:
  from bertjax.config import PretrainConfig

ROOT = pathlib.Path(__file__).parents[1]
CASE = flags.DEFINE_string("case", None, "Fields of a Case, as JSON.")
CACHE = flags.DEFINE_string(
  "cache",
  "runs/ahead_of_time.jsonl",
  "File that keeps the plans of earlier runs; empty keeps none.",
)
# cuDNN's attention is one of GPUs.
ATTENTION_NAMES = tuple(
  name for name in choices(ComputeConfig, "attention") if name != "cudnn"
)
ATTENTION = flags.DEFINE_enum(
  "attention",
  None,
  ATTENTION_NAMES,
  "Attention kernel of TPUs; without it, that of the case.",
)
FIGURES = flags.DEFINE_bool("figures", False, "Print the table of figures.")
# Rows a chip to try, the most first.
ROWS = (32, 30, 28, 26, 24, 22, 20, 18, 16)


class NotCompiledError(RuntimeError):
  """A case has no plan; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Case:
  """One train step of BERT to compile.

  Attributes:
    kind: kind of chip.
    chips: number of chips, in the most compact shape of one slice.
    size: size of the model.
    seq_length: tokens a row.
    rows: rows on each chip.
    sharding: data, zero1 or fsdp.
    remat: remat policy.
    count: also ask the compiler for its own count of FLOPs.
    draws: the draws of dropout.
    attention: `compute.attention`.
    attention_dropout: rate of dropout of attention weights.
  """

  kind: str = "v5e"
  chips: int = 16
  size: str = "large"
  seq_length: int = 512
  rows: int = 16
  sharding: str = "zero1"
  remat: Literal["none", "attention", "dots", "full"] = "none"
  count: bool = False
  draws: Literal["uint16", "uint8"] = "uint16"
  attention: str = "auto"
  attention_dropout: float = 0.1

  def with_attention(self, attention: str) -> "Case":
    """Return this case with another kernel, and the dropout that it has."""
    rate = 0.0 if attention == "splash" else self.attention_dropout
    return dataclasses.replace(
      self, attention=attention, attention_dropout=rate
    )


def measure(
  case: Case, cache: pathlib.Path | None = None, timeout: float = 3600
) -> PhasePlan:
  """Return the plan of a case, from the cache or from a compile.

  Args:
    case: the step to compile.
    cache: file of JSON lines; None keeps nothing.
    timeout: seconds that the compile may take.

  Raises:
    NotCompiledError: the compile fails, or the compiler reports too little.
  """
  key = {"case": dataclasses.asdict(case), **versions()}
  if cache is not None and cache.exists():
    for line in cache.read_text(encoding="utf-8").splitlines():
      record = json.loads(line)
      if record["key"] == key:
        return PhasePlan.from_json(record["phase"])
  command = (sys.executable, "-m", "benchmarks.ahead_of_time")
  done = subprocess.run(
    (*command, f"--case={json.dumps(dataclasses.asdict(case))}"),
    cwd=ROOT,
    env={**os.environ, "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"},
    capture_output=True,
    text=True,
    timeout=timeout,
    check=False,
  )
  if done.returncode:
    lines = done.stderr.strip().splitlines() or ["no message"]
    if done.returncode < 0:
      lines = [f"the compiler crashed with signal {-done.returncode}"]
    raise NotCompiledError(lines[-1])
  phase = PhasePlan.from_json(json.loads(done.stdout.splitlines()[-1]))
  if phase.memory.fits and phase.time is None:
    raise NotCompiledError(phase.notes[-1])
  if cache is not None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    with cache.open("a", encoding="utf-8") as file:
      file.write(json.dumps({"key": key, "phase": phase.to_json()}) + "\n")
  return phase


def most_rows(case: Case, cache: pathlib.Path | None = None) -> int:
  """Return the most rows a chip of ROWS with which a case fits; 0 if none.

  Fewer rows than some that fit are taken to fit, which saves compiles.
  """

  def fits(rows: int) -> bool:
    try:
      return measure(dataclasses.replace(case, rows=rows), cache).memory.fits
    except NotCompiledError:
      return False

  place = bisect.bisect_left(ROWS, True, key=fits)
  return ROWS[place] if place < len(ROWS) else 0


def figures(
  cache: pathlib.Path | None = None, attention: str = Case.attention
) -> Iterator[str]:
  """Yield the lines of the table of figures, each as soon as it is known."""
  yield (
    "| dropout | HBM GB | HBM ms | temporaries GiB | products ÷ formula | "
    "compiler's FLOPs ÷ formula | most rows |"
  )
  yield "| --- " + "| ---: " * 6 + "|"
  for draws in ("uint16", "uint8"):
    case = Case(draws=draws).with_attention(attention)
    phase = measure(dataclasses.replace(case, count=True), cache)
    work, time = phase.work, phase.time
    if work is None or time is None or work.hbm_bytes is None:
      raise NotCompiledError("; ".join(phase.notes))
    yield (
      f"| {draws} | {work.hbm_bytes / 1e9:.1f} | {1e3 * time.memory:.1f} | "
      f"{phase.memory.by_kind['temporaries'] / 2**30:.2f} | "
      f"{work.products_ratio or 0:.4f} | {work.counted_ratio or 0:.4f} | "
      f"{most_rows(case, cache)} |"
    )


def summary(phase: PhasePlan) -> str:
  """Return the figures of a plan in one line."""
  work, time = phase.work, phase.time
  if work is None or time is None or work.hbm_bytes is None:
    return "; ".join(phase.notes)
  return (
    f"HBM traffic {work.hbm_bytes / 1e9:.1f} GB, {1e3 * time.memory:.1f} ms; "
    f"collectives {1e3 * time.overlapped:.1f} ms overlapped and "
    f"{1e3 * time.exposed:.1f} ms exposed; "
    f"temporaries {phase.memory.by_kind['temporaries'] / 2**30:.2f} GiB; "
    f"products {work.products_ratio or 0:.4f} of the formula; compiled in "
    f"{phase.compile_seconds:.0f} s"
  )


def cache_path() -> pathlib.Path | None:
  """Return the path of `--cache`, or None."""
  return pathlib.Path(CACHE.value) if CACHE.value else None


def versions() -> dict[str, str]:
  """Return the versions of the code and the compiler."""
  digest = hashlib.sha256()
  for path in sorted((ROOT / "bertjax").rglob("*.py")):
    digest.update(path.read_bytes())
  found = {"code": digest.hexdigest()[:16]}
  for name in ("jax", "libtpu"):
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      found[name] = "absent"
  return found


def make_config(
  case: Case, num_devices: int, num_chips: int
) -> "PretrainConfig":
  """Return the config of a run on a pod: LAMB, bfloat16, rbg keys."""
  from bertjax.config import (
    SIZES,
    ComputeConfig,
    DataConfig,
    MeshConfig,
    OptimizerConfig,
    PretrainConfig,
  )

  fsdp = case.sharding == "fsdp"
  attention: Any = case.attention  # one of the flag's values
  return PretrainConfig(
    batch_size=max(case.rows * num_chips, num_devices),
    model=dataclasses.replace(
      SIZES[case.size],
      vocab_size=0,
      attention_dropout_rate=case.attention_dropout,
    ),
    data=DataConfig(seq_length=case.seq_length, max_packs=1),
    optimizer=OptimizerConfig(name="lamb"),
    mesh=MeshConfig(
      data=1 if fsdp else -1,
      fsdp=-1 if fsdp else 1,
      zero1=case.sharding == "zero1",
    ),
    compute=ComputeConfig(
      dtype="bfloat16",
      dropout_rng="rbg",
      dropout_draws=case.draws,
      remat=case.remat,
      attention=attention,
    ),
  )


def main(_: list[str]) -> None:
  """Compile one case and print its plan, or print the table of figures."""
  if FIGURES.value:
    for line in figures(cache_path(), ATTENTION.value or Case.attention):
      print(line, flush=True)
    return
  from bertjax.plan import environment

  environment.set_environment()  # before JAX is imported
  from bertjax.plan import compiling, planning
  from bertjax.plan.hardware import topologies
  from launch import plan

  case = Case(**json.loads(CASE.value or "{}"))
  if ATTENTION.value:
    case = case.with_attention(ATTENTION.value)
  topology = topologies.of_size(case.kind, case.chips)
  if topology is None:
    raise ValueError(f"there is no {case.kind} of {case.chips} chips")
  config = make_config(case, topology.num_devices, topology.num_chips)
  resolved, _ = plan.resolve_for(config, topology)
  (only,) = resolved.phases
  devices = topologies.get_devices(topology)
  phase = planning.plan_phase(
    compiling.build(resolved.config, devices),
    only,
    topology,
    devices,
    count=case.count,
    evaluation=False,
  )
  print(summary(phase), file=sys.stderr)
  print(json.dumps(phase.to_json()))


if __name__ == "__main__":
  app.run(main)
