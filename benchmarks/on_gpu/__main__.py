# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Measure what a GPU reaches, the most valuable figures first.

    python -m benchmarks.on_gpu --minutes=6 --output=DIR

Needs jax with its GPU backend, flax and optax. Each job's result is written to
DIR/CARD.json and DIR/CARD.md when the job ends, so that a command that is
killed leaves what it has measured. A job for which no time is left, and one
that fails, is named with the reason. The command begins with the names of the
jobs that fit into its minutes, and with the minutes that all would take.
`--scale=tiny` runs the same jobs on tiny models, on any platform.

Copy both files to `benchmarks/gpu/` to keep the figures of a card.
"""

import faulthandler
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple

# Before JAX starts a backend: PyTorch's process needs memory as well.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
from absl import app, flags

from benchmarks.on_gpu import (
  attention,
  attention_dropout,
  device_limits,
  finetuning,
  table,
  training,
)
from benchmarks.on_gpu.scale import SCALES, Scale, Workload
from benchmarks.on_gpu.timing import first_line
from benchmarks.on_gpu.training import (
  COSTS,
  CUDNN,
  FLASH,
  PUBLISHED,
  QUERIES_FIRST,
  XLA,
  Variant,
)
from bertjax import files

_PACKAGES = ("jax", "jaxlib", "flax", "optax")
# A job may go on this long after the end, before the command is ended.
_GRACE = 90


class Job(NamedTuple):
  """A figure, or some that belong together.

  Attributes:
    name: key of the results.
    seconds: that it takes on an H100, about; it starts if so many are left.
    run: measures.
  """

  name: str
  seconds: float
  run: Callable[[Scale], Mapping[str, Any] | list[Any]]


def make_jobs(scale: Scale) -> list[Job]:
  """Return the jobs, the most valuable first."""
  first, small, *others = scale.workloads
  jobs = [
    Job("limits", 15, device_limits.measure_limits),
    _step_job(first, PUBLISHED),
    _step_job(first, CUDNN),
    Job("attention", 65, attention.compare_kernels),
    _step_job(small, PUBLISHED),
    Job("learning", 25, lambda s: training.check_learning(small, s)),
    _torch_job(first),
    Job("attention dropout", 25, attention_dropout.measure_dropout),
    Job(
      f"{first.name}: {FLASH.name}",
      25,
      lambda s: attention_dropout.measure_step(first, FLASH, s),
    ),
    *(_step_job(each, PUBLISHED) for each in others[:1]),
    Job(
      "fine-tuning",
      15,
      lambda s: finetuning.measure_finetuning(small, s.budget),
    ),
    Job("inference", 20, lambda s: training.measure_inference(small, s.budget)),
    _step_job(first, XLA),
    Job("optimizers", 20, device_limits.measure_optimizers),
    *(_step_job(each, PUBLISHED) for each in others[1:]),
    _step_job(first, QUERIES_FIRST),
    *(_step_job(small, each) for each in (CUDNN, XLA)),
    Job("batches", 60, lambda s: training.find_batches(first, s)),
    _torch_job(small),
    *(_step_job(first, each) for each in COSTS),
  ]
  return list({job.name: job for job in jobs}.values())


def fitting(jobs: Sequence[Job], minutes: float) -> list[Job]:
  """Return the first jobs, which take so many minutes together."""
  spent = itertools.accumulate(job.seconds for job in jobs)
  return [
    job for job, end in zip(jobs, spent, strict=True) if end <= 60 * minutes
  ]


def measure(scale: str, minutes: float, folder: pathlib.Path) -> dict[str, Any]:
  """Run the jobs that time is left for; write the results after each."""
  end = time.monotonic() + 60 * minutes
  device = jax.devices()[0]
  results: dict[str, Any] = {
    "card": device.device_kind,
    "platform": device.platform,
    "scale": scale,
    "versions": {name: metadata.version(name) for name in _PACKAGES},
    "jobs": {},
  }
  folder.mkdir(parents=True, exist_ok=True)
  name = re.sub(r"[^A-Za-z0-9]+", "_", device.device_kind).strip("_")
  jobs = make_jobs(SCALES[scale])
  names = ", ".join(job.name for job in fitting(jobs, minutes))
  needed = sum(job.seconds for job in jobs) / 60
  print(
    f"in {minutes:g} min on an H100, about: {names or 'nothing'}; all jobs "
    f"would take {needed:.0f}"
  )
  print(f"kernels of attention: {attention.describe_kernels()}")
  for job in jobs:
    left = end - time.monotonic()
    if left < job.seconds and scale != "tiny":
      found: Any = {"not run": f"{left:.0f} s were left of {minutes:g} min"}
    else:
      found = _run(job, SCALES[scale])
    results["jobs"][job.name] = found
    print(f"{job.name}: {json.dumps(found)}", flush=True)
    files.write_json(folder / f"{name}.json", results)
    files.write_text(folder / f"{name}.md", table.render(results))
  return results


def _run(job: Job, scale: Scale) -> Any:
  begin = time.monotonic()
  try:
    found = job.run(scale)
  except Exception as error:  # the other jobs go on
    found = {"error": first_line(error)}
  if isinstance(found, Mapping):
    return {**found, "took_s": round(time.monotonic() - begin, 1)}
  return found


def _step_job(workload: Workload, variant: Variant) -> Job:
  return Job(
    f"{workload.name}: {variant.name}",
    25,
    lambda scale: training.measure_step(
      workload, variant, workload.rows, scale.budget
    ),
  )


def _torch_job(workload: Workload) -> Job:
  def run(scale: Scale) -> Mapping[str, Any]:
    name = next(name for name, each in SCALES.items() if each is scale)
    command = [
      *(sys.executable, "-m", "benchmarks.on_gpu.torch_peer"),
      *(f"--scale={name}", f"--workload={workload.name}"),
      *(["--nocompile"] if name == "tiny" else []),
    ]
    done = subprocess.run(
      command, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
      return {"error": (done.stderr.strip().splitlines() or ["?"])[-1][:300]}
    return json.loads(done.stdout.strip().splitlines()[-1])

  return Job(f"{workload.name}: Hugging Face in PyTorch", 60, run)


def define_flags() -> None:
  """Define the flags; not at import, since a test calls `measure`."""
  flags.DEFINE_float("minutes", 6.0, "Minutes after which no job starts.")
  flags.DEFINE_string("output", None, "Folder to write to.", required=True)
  flags.DEFINE_enum("scale", "card", list(SCALES), "Sizes of the jobs.")


def main(_: Sequence[str]) -> None:
  """Measure on the first device of this machine."""
  values = flags.FLAGS
  device = jax.devices()[0]
  if values.scale == "card" and device.platform != "gpu":
    raise app.UsageError(
      f"this machine's device is {device.device_kind}, not a GPU; install jax "
      "with its GPU backend, or give --scale=tiny"
    )
  # A kernel that hangs must not take the results with it.
  faulthandler.dump_traceback_later(60 * values.minutes + _GRACE, exit=True)
  results = measure(values.scale, values.minutes, pathlib.Path(values.output))
  print(table.render(results))


if __name__ == "__main__":
  define_flags()
  app.run(main)
