# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plans of BERT for 8 to 4,096 chips, compiled ahead of time on a CPU.

    python -m benchmarks.scaling [--cache=runs/ahead_of_time.jsonl]

Writes benchmarks/scaling.md. Needs libtpu (`pip install 'bertjax[plan]'`) and
no TPU. Each compile takes about a minute and is kept in the cache, so that the
command can be stopped and started again. --kinds=v5e compiles for one kind of
chip, and prints its tables instead of writing the page.

Only a few numbers of chips are compiled. From one to the next, with the same
rows on each chip, the work of a chip stays the same, and so does the size of
the arrays that are reduced over all chips; only the number of chips changes.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from absl import app, flags

from benchmarks.ahead_of_time import (
  Case,
  NotCompiledError,
  cache_path,
  make_config,
  measure,
  versions,
)
from bertjax import files
from bertjax.plan import environment, roofline
from bertjax.plan.hardware import topologies
from bertjax.plan.hardware.chips import CHIPS as KNOWN
from bertjax.plan.hardware.topologies import Topology
from bertjax.plan.hlo.collectives import Collective, CollectiveTotal
from bertjax.plan.hlo.parsing import Array
from bertjax.plan.results import PhasePlan
from launch import plan

KINDS = tuple(KNOWN)
CHIPS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
# Rows on a chip by tokens a row; the rest of the config is `make_config`'s.
ROWS = {128: 32, 512: 16}
SIZES = ("base", "large")
# Numbers of chips to compile for, beside the smallest that exists; the others
# are estimated from the next below.
COMPILED = (8, 64)
TARGET = pathlib.Path(__file__).with_name("scaling.md")
_GIB = 2**30

CHOSEN = flags.DEFINE_list(
  "kinds", list(KINDS), "Kinds of chips to compile for."
)

HEAD = """\
# How a run scales, by ahead-of-time compilation

Written by `python -m benchmarks.scaling` with JAX {jax} and libtpu {libtpu}, on
a host without a TPU. **Times and MFU are bounds and not measurements**: they
are computed from the compiled train step and the chip's peak rates, and no run
can be faster.

The train step is that of `launch.pretrain`: LAMB, ZeRO-1, bfloat16, dropout
0.1 from `rbg` keys, no remat, one example a row without padding. The rows on
each chip are fixed: {rows}.

*compiled* rows are read from an executable for that topology. *estimated* rows
take a chip's temporaries, FLOPs and memory traffic from the compiled row above
them, and scale state and collectives to their own number of chips. More chips
than the largest slice has are several slices, which exchange data over the
data-center network. GiB are those of one JAX device, of which v3 and tpu7x have
two a chip; temporaries are those that are alive when most memory is used, and
the limit is what the compiler lets a program use.
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
  """Yield rows of COLUMNS, one for each number of chips that exists."""
  known: tuple[Case, PhasePlan] | None = None
  existing = {
    chips: found
    for chips in CHIPS
    if (found := topologies.of_size(kind, chips)) is not None
  }
  for chips, topology in existing.items():
    if chips in (*COMPILED, next(iter(existing))):
      case = Case(kind, chips, size, seq_length, ROWS[seq_length])
      print(f"{case.size} {case.seq_length}, {topology} …", flush=True)
      try:
        known = case, _compile(case, cache)
      except NotCompiledError as error:
        yield (f"{chips:,}", str(topology), "compiled", str(error), *[""] * 8)
        continue
    if known is not None:
      yield _row(topology, *known, compiled=chips == known[0].chips)


def _compile(case: Case, cache: pathlib.Path | None) -> PhasePlan:
  phase = measure(case, cache)
  if not phase.memory.fits:
    raise NotCompiledError("does not fit")
  return phase


def _row(
  topology: Topology, case: Case, phase: PhasePlan, *, compiled: bool
) -> tuple[str, ...]:
  from bertjax.plan import counting

  origin = topologies.of_size(case.kind, case.chips)
  assert origin is not None
  bound = bound_at(phase, origin, topology)
  config = make_config(case, topology.num_devices, topology.num_chips)
  flops = counting.formula_flops(plan.resolve_for(config, topology)[0].config)
  mfu = flops / (bound.step * topology.num_chips * topology.chip.peak_flops)
  collectives = bound.overlapped + bound.exposed
  return (
    f"{topology.num_chips:,}",
    str(topology),
    "compiled" if compiled else "estimated",
    f"{_state_bytes(phase, origin, topology) / _GIB:.2f}",
    f"{phase.memory.by_kind['temporaries'] / _GIB:.2f}",
    f"{phase.memory.limit / _GIB:.2f}",
    *(
      f"{1e3 * seconds:.1f}"
      for seconds in (bound.compute, bound.memory, collectives, bound.step)
    ),
    f"{100 * mfu:.1f} %",
    f"{config.batch_size / bound.step:,.0f}",
  )


def bound_at(
  phase: PhasePlan, compiled_for: Topology, topology: Topology
) -> roofline.Bound:
  """Return the bound of a step on another topology of the same chip.

  Args:
    phase: the plan for `compiled_for`, with its work.
    compiled_for: a topology of one slice.
    topology: any number of slices of the same kind of chip.
  """
  assert phase.work, phase.notes
  collectives = rescale(phase.collectives or (), compiled_for, topology)
  return roofline.bound_work(topology, collectives, phase.work)


def rescale(
  rows: Iterable[CollectiveTotal], compiled_for: Topology, topology: Topology
) -> list[Collective]:
  """Return the collectives of a data-parallel step on another topology.

  Args:
    rows: collectives of the step on `compiled_for`.
    compiled_for: a topology of one slice; groups of all its devices grow.
    topology: any number of slices of the same kind of chip. Between slices
      each chip sends its shard of what its slice has reduced, and the step
      waits for that.
  """
  slice_devices = topology.num_devices // topology.num_slices
  found = []
  for row in rows:
    grows = row.group == compiled_for.num_devices
    inside = Collective(
      kind=row.kind,
      name=row.dtype,
      arrays=(Array("u8", (row.bytes,)),),
      group=slice_devices if grows else row.group,
      in_loop=row.in_loop,
      overlaps=row.overlaps,
      # An all-reduce whose result is sharded at once sends half.
      scattered=row.wire_bytes < 1.01 * row.bytes,
    )
    found.append(inside)
    if grows and topology.num_slices > 1:
      shard = -(-row.bytes // topology.slice_chips)
      found.append(
        dataclasses.replace(
          inside,
          arrays=(Array("u8", (shard,)),),
          group=topology.num_slices,
          crosses=True,
          overlaps=False,
        )
      )
  return found


def _state_bytes(
  phase: PhasePlan, origin: Topology, topology: Topology
) -> float:
  """Return the bytes of parameters, optimizer state and padding on a device.

  ZeRO-1 shards parameters and optimizer state over all devices.
  """
  by_kind = phase.memory.by_kind
  kinds = ("parameters", "optimizer", "padding")
  state = sum(by_kind[kind] for kind in kinds)
  return state * origin.num_devices / topology.num_devices


def write_page(
  tables: Mapping[tuple[str, str, int], list[tuple[str, ...]]],
) -> None:
  """Write `scaling.md`."""
  rows = ", ".join(f"{rows} of {length}" for length, rows in ROWS.items())
  parts = [HEAD.format(**versions(), rows=rows)]
  for (kind, size, seq_length), lines in tables.items():
    parts.append(f"\n## BERT-{size}, {seq_length} tokens, {kind}\n")
    parts.append(_line(COLUMNS))
    parts.append(_line(["---"] * 3 + ["---:"] * (len(COLUMNS) - 3)))
    parts += [_line(line) for line in lines]
  files.write_text(TARGET, "\n".join(parts) + "\n")


def _line(cells: Sequence[str]) -> str:
  return f"| {' | '.join(cells)} |"


def main(_: list[str]) -> None:
  """Compile the cases that the cache lacks, and write the page."""
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
