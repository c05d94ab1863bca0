# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plans of BERT for 8 to 4,096 chips, compiled ahead of time on a CPU.

    python -m benchmarks.scaling [--cache=runs/ahead_of_time.jsonl]

Writes benchmarks/scaling.md. Needs libtpu (`pip install 'bertjax[plan]'`) and
no TPU. Each compile takes about a minute and is kept in the cache, so that the
command can be stopped and started again; --kinds=v5e takes a part, of which
no page is written.
"""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from absl import app, flags

from benchmarks.ahead_of_time import (
  Case,
  cache_path,
  make_config,
  measure,
  versions,
)
from bertjax.plan import environment
from bertjax.plan.hardware import topologies
from launch import plan

KINDS = ("v4", "v5e", "v5p", "v6e")
CHIPS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
# Rows of a chip by tokens a row; everything else is of the run of a pod.
ROWS = {128: 32, 512: 16}
SIZES = ("base", "large")
# Compiled; the other numbers of chips follow from the nearest below.
COMPILED = (8, 64)
TARGET = pathlib.Path(__file__).with_name("scaling.md")
_GIB = 2**30

CHOSEN = flags.DEFINE_list("kinds", list(KINDS), "Chips to compile for.")

HEAD = """\
# How a run scales, by ahead-of-time compilation

Written by `python -m benchmarks.scaling` with JAX {jax} and libtpu {libtpu}, on
a host without a TPU. **Times and MFU are bounds and not measurements**: they
are reckoned from the compiled train step and the chip's peaks, and no run can
be better than them.

The train step is that of `launch.pretrain`: LAMB, ZeRO-1, bfloat16, dropout
0.1 from `rbg` keys, no remat, one example a row without padding. Rows a chip
are fixed: {rows}.

*compiled* rows are read from an executable for that topology. *reckoned* rows
take a chip's temporaries, FLOPs and memory traffic from the compiled row above
them, and reckon state and collectives for their own number of chips. More than
{plane} chips of v5e and v6e are several slices; what crosses between them
waits for the data-centre network. GiB are of one chip; the limit is what the
compiler lets a program use.
"""
COLUMNS = (
  "chips",
  "topology",
  "row is",
  "state GiB",
  "temporaries GiB",
  "limit GiB",
  "compute ms",
  "memory ms",
  "collectives ms",
  "step ≥ ms",
  "MFU ≤",
  "rows/s ≤",
)


def table(
  kind: str, size: str, seq_length: int, cache: pathlib.Path | None
) -> Iterator[tuple[str, ...]]:
  """Rows of COLUMNS, for each number of chips that exists."""
  known: tuple[Case, Mapping[str, Any]] | None = None
  for chips in CHIPS:
    topology = topologies.of_size(kind, chips)
    if topology is None:
      continue
    if chips in COMPILED:
      case = Case(kind, chips, size, seq_length, ROWS[seq_length])
      print(f"{case.size} {case.seq_length}, {topology} …", flush=True)
      phase = measure(case, cache)
      if "error" in phase or not phase["memory"]["fits"]:
        why = phase.get("error") or "does not fit"
        yield (f"{chips:,}", str(topology), "compiled", why, *[""] * 8)
        continue
      known = case, phase
    if known is not None:
      yield _row(topology, known[0], known[1], chips == known[0].chips)


def _row(
  topology: topologies.Topology,
  case: Case,
  phase: Mapping[str, Any],
  compiled: bool,
) -> tuple[str, ...]:
  from bertjax.plan import counting, scaling

  origin = topologies.of_size(case.kind, case.chips)
  assert origin is not None
  bound = scaling.bound_at(phase, origin, topology)
  config = make_config(case, topology.num_devices, topology.num_chips)
  flops = counting.formula_flops(plan.resolve_for(config, topology)[0].config)
  mfu = flops / (bound.step * topology.num_chips * topology.chip.peak_flops)
  collectives = bound.overlapped + bound.exposed
  return (
    f"{topology.num_chips:,}",
    str(topology),
    "compiled" if compiled else "reckoned",
    f"{_state_bytes(phase, origin, topology) / _GIB:.2f}",
    f"{phase['memory']['by_kind']['temporaries'] / _GIB:.2f}",
    f"{phase['memory']['limit'] / _GIB:.2f}",
    *(
      f"{1e3 * seconds:.1f}"
      for seconds in (bound.compute, bound.memory, collectives, bound.step)
    ),
    f"{100 * mfu:.1f} %",
    f"{config.batch_size / bound.step:,.0f}",
  )


def _state_bytes(
  phase: Mapping[str, Any],
  origin: topologies.Topology,
  topology: topologies.Topology,
) -> float:
  """Bytes of parameters, slots and padding; ZeRO-1 cuts them over all."""
  by_kind = phase["memory"]["by_kind"]
  kinds = ("parameters", "optimizer", "padding")
  state = sum(by_kind[kind] for kind in kinds)
  return state * origin.num_devices / topology.num_devices


def write_page(
  tables: Mapping[tuple[str, str, int], list[tuple[str, ...]]],
) -> None:
  """Write `scaling.md` whole."""
  rows = ", ".join(f"{rows} of {length}" for length, rows in ROWS.items())
  parts = [HEAD.format(**versions(), rows=rows, plane=256)]
  for (kind, size, seq_length), lines in tables.items():
    parts.append(f"\n## BERT-{size}, {seq_length} tokens, {kind}\n")
    parts.append(_line(COLUMNS))
    parts.append(_line(["---"] * 3 + ["---:"] * (len(COLUMNS) - 3)))
    parts += [_line(line) for line in lines]
  TARGET.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _line(cells: list[str] | tuple[str, ...]) -> str:
  return f"| {' | '.join(cells)} |"


def main(_: list[str]) -> None:
  """Compile what is not in the cache, and write the page."""
  environment.set_environment()
  cache = cache_path()
  tables = {
    (kind, size, length): list(table(kind, size, length, cache))
    for size in SIZES
    for length in ROWS
    for kind in CHOSEN.value
  }
  if set(CHOSEN.value) == set(KINDS):
    write_page(tables)
    print(f"wrote {TARGET}")
    return
  for (kind, size, length), lines in tables.items():
    print(f"\nBERT-{size}, {length} tokens, {kind}")
    for line in (COLUMNS, *lines):
      print(_line(line))


if __name__ == "__main__":
  app.run(main)
