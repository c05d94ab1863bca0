# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of BERT-large at 512 tokens on pods, compiled on a CPU.

    python -m benchmarks.pod_numbers [--cache=runs/ahead_of_time.jsonl]

Needs libtpu (`pip install 'bertjax[plan]'`) and no TPU. Prints each number as
soon as it is known. Plans stay in the cache, so that the command can be stopped
and started again.
"""

import contextlib
import pathlib
from collections.abc import Iterator

from absl import app

from benchmarks import figures
from benchmarks.ahead_of_time import (
  Case,
  NotCompiledError,
  cache_path,
  measure,
  most_rows,
)
from bertjax.plan.hardware.chips import CHIPS
from bertjax.plan.hlo.collectives import CollectiveTotal
from bertjax.plan.results import PhasePlan

KINDS = tuple(CHIPS)
_MB = 1e6
# Name of a number, its value and the goal.
Line = tuple[str, str, str]


def compile_times(cache: pathlib.Path | None) -> Iterator[Line]:
  """Seconds to compile for 16 chips of each kind."""
  for kind in KINDS:
    rows = 4 if kind == "v3" else 16
    try:
      phase = measure(Case(kind=kind, rows=rows), cache)
      value = f"{phase.compile_seconds:.1f} s"
    except NotCompiledError as error:
      value = str(error)
    yield f"compile for {kind}, 16 chips", value, "≤ 60 s"


def temporaries(cache: pathlib.Path | None) -> Iterator[Line]:
  """Bytes of temporaries on each of 256 chips over those on each of 16."""
  few, many = (measured(Case(chips=chips), cache) for chips in (16, 256))
  ratio = temporary_bytes(many) / temporary_bytes(few)
  yield "temporaries, 256 chips / 16 chips", f"{ratio:.4f}", "≤ 1.01"


def traffic(cache: pathlib.Path | None) -> Iterator[Line]:
  """Bytes of gradients and of gathered parameters a step."""
  plain = measured(Case(sharding="data", rows=8), cache)
  value = traffic_bytes(plain, ("all-reduce", "reduce-scatter")) / _MB
  yield "gradients, data parallel", f"{value:.1f} MB", "≤ 690 MB"
  zero1 = measured(Case(), cache)
  for name, kinds, goal in (
    ("gradients", ("all-reduce", "reduce-scatter"), "≤ 690 MB"),
    ("gathers", ("all-gather",), "≤ 700 MB"),
  ):
    value = traffic_bytes(zero1, kinds) / _MB
    wide = traffic_bytes(zero1, kinds, "f32") / _MB
    text = f"{value:.1f} MB, of which {wide:.1f} MB are float32"
    yield f"{name}, ZeRO-1", text, goal
  inside = max(
    (exposed_in_loop(phase) / _MB for phase in (plain, zero1)), default=0.0
  )
  yield (
    "largest exposed collective in a loop",
    f"{inside:.3f} MB",
    "≤ 1 MB",
  )


def work(cache: pathlib.Path | None) -> Iterator[Line]:
  """FLOPs against the formula, HBM traffic, and the rows that fit."""
  phase = measured(Case(count=True), cache)
  found, time = phase.work, phase.time
  assert found, phase.notes
  assert time, phase.notes
  yield (
    "FLOPs, compiler's count / formula",
    f"{found.counted_ratio:.4f}",
    "≤ 1.03",
  )
  yield "FLOPs, products / formula", f"{found.products_ratio:.4f}", ""
  yield (
    "HBM traffic, v5e, 16 rows, compiler's count (too large)",
    f"{(found.counted_bytes or 0) / 1e9:.1f} GB",
    "≤ 113 GB",
  )
  yield (
    "HBM traffic, v5e, 16 rows, read from the program",
    f"{(found.hbm_bytes or 0) / 1e9:.1f} GB",
    "",
  )
  yield (
    "MFU bound, v5e, 16 rows (not a measurement)",
    f"{100 * time.mfu:.1f} %",
    "≥ 60 %",
  )
  most = most_rows(Case(), cache)
  yield "rows on a v5e chip without remat", str(most), "16"


def measured(case: Case, cache: pathlib.Path | None) -> PhasePlan:
  """Return the plan of a case; end the command if it does not compile."""
  try:
    return measure(case, cache)
  except NotCompiledError as error:
    raise SystemExit(f"{case}: {error}") from error


def temporary_bytes(phase: PhasePlan) -> int:
  """Return the bytes of a device's temporaries."""
  return phase.memory.by_kind["temporaries"]


def traffic_bytes(
  phase: PhasePlan, kinds: tuple[str, ...], dtype: str = ""
) -> int:
  """Return the bytes a step of the whole arrays of some kinds and one dtype."""
  return sum(
    row.bytes
    for row in _collectives(phase)
    if row.kind in kinds and dtype in ("", row.dtype)
  )


def exposed_in_loop(phase: PhasePlan) -> int:
  """Return the bytes of the largest exposed collective in a loop."""
  return max(
    (
      row.largest
      for row in _collectives(phase)
      if row.in_loop and not row.overlaps
    ),
    default=0,
  )


def _collectives(phase: PhasePlan) -> tuple[CollectiveTotal, ...]:
  if phase.collectives is None:
    raise SystemExit(f"collectives are unknown: {'; '.join(phase.notes)}")
  return phase.collectives


def main(_: list[str]) -> None:
  """Print every number with its goal."""
  cache = cache_path()
  for lines in (traffic, temporaries, work, compile_times):
    for what, value, goal in lines(cache):
      print(f"{what:58} {value:48} {goal}", flush=True)
      number, *unit = value.split(" ", 1)
      with contextlib.suppress(ValueError):  # a reason instead of a number
        ours = float(number)
        # A goal of one number is how many there should be at least.
        goal = f"≥ {goal}" if goal.isdecimal() else goal
        short = "".join(unit).partition(",")[0]
        figures.record(figures.Figure(what, ours, short, goal=goal))


if __name__ == "__main__":
  app.run(main)
