# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What BERT-large at 512 comes to on pods, compiled ahead of time on a CPU.

    python -m benchmarks.pod_numbers [--cache=runs/ahead_of_time.jsonl]

Needs libtpu (`pip install 'bertjax[plan]'`) and no TPU. Prints a line for each
number as soon as it is known; what is known stays in the cache, so that the
command can be stopped and started again.
"""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from absl import app

from benchmarks.ahead_of_time import Case, cache_path, measure

KINDS = ("v3", "v4", "v5e", "v5p", "v6e", "tpu7x")
_MB = 1e6
# What it is, its value and the goal.
Line = tuple[str, str, str]


def compile_times(cache: pathlib.Path | None) -> Iterator[Line]:
  """Seconds to compile for 16 chips of each kind."""
  for kind in KINDS:
    rows = 4 if kind == "v3" else 16
    phase = measure(Case(kind=kind, rows=rows), cache)
    value = phase.get("error") or f"{phase['compile_seconds']:.1f} s"
    yield f"compile for {kind}, 16 chips", value, "≤ 60 s"


def temporaries(cache: pathlib.Path | None) -> Iterator[Line]:
  """Temporaries a chip on 256 chips over those on 16."""
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
    text = f"{value:.1f} MB, {wide:.1f} MB of them float32"
    yield f"{name}, ZeRO-1", text, goal
  inside = max(
    (exposed_in_loop(phase) / _MB for phase in (plain, zero1)), default=0.0
  )
  yield (
    "exposed collectives in loops, the largest sum of a kind",
    f"{inside:.3f} MB",
    "none over 1 MB",
  )


def work(cache: pathlib.Path | None) -> Iterator[Line]:
  """FLOPs over the formula, and the rows that fit."""
  phase = measured(Case(count=True), cache)
  found = phase["work"]
  yield (
    "FLOPs, the compiler's / formula",
    f"{found['counted_ratio']:.4f}",
    ("≤ 1.03"),
  )
  yield "FLOPs, products / formula", f"{found['products_ratio']:.4f}", ""
  yield (
    "memory traffic, v5e, 16 rows, by the compiler (too many)",
    f"{found['counted_bytes'] / 1e9:.1f} GB",
    "≤ 113 GB",
  )
  yield (
    "memory traffic, v5e, 16 rows, by the program",
    f"{found['hbm_bytes'] / 1e9:.1f} GB",
    "",
  )
  yield (
    "MFU bound, v5e, 16 rows (never a measurement)",
    f"{100 * phase['time']['mfu']:.1f} %",
    "≥ 60 %",
  )
  most = 0
  for rows in (16, 18, 20, 22, 24, 26, 28):
    tried = measure(Case(rows=rows), cache)
    if "error" in tried or not tried["memory"]["fits"]:
      break
    most = rows
  yield "rows a chip on v5e without remat", str(most), "16"


def measured(case: Case, cache: pathlib.Path | None) -> Mapping[str, Any]:
  """Return what a case comes to; the command ends where it does not compile."""
  phase = measure(case, cache)
  if "error" in phase:
    raise SystemExit(f"{case}: {phase['error']}")
  return phase


def temporary_bytes(phase: Mapping[str, Any]) -> int:
  """Bytes of a device that are alive only inside the step."""
  return phase["memory"]["by_kind"]["temporaries"]


def traffic_bytes(
  phase: Mapping[str, Any], kinds: tuple[str, ...], dtype: str = ""
) -> int:
  """Bytes a step of the whole arrays of some kinds of collectives."""
  return sum(
    row["bytes"]
    for row in phase["collectives"]
    if row["kind"] in kinds and dtype in ("", row["dtype"])
  )


def exposed_in_loop(phase: Mapping[str, Any]) -> int:
  """Largest bytes of one run of exposed collectives of a kind in a loop."""
  return max(
    (
      row["largest"]
      for row in phase["collectives"]
      if row["in_loop"] and not row["overlaps"]
    ),
    default=0,
  )


def main(_: list[str]) -> None:
  """Print every number with its goal."""
  cache = cache_path()
  for lines in (traffic, temporaries, work, compile_times):
    for what, value, goal in lines(cache):
      print(f"{what:58} {value:48} {goal}", flush=True)


if __name__ == "__main__":
  app.run(main)
