# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Turn the numbers of a plan into the text of the terminal and of its page."""

from collections.abc import Iterable

from bertjax.plan.hlo.collectives import CollectiveTotal
from bertjax.plan.results import (
  Candidate,
  MemoryUse,
  PhasePlan,
  Plan,
  RunCost,
  Search,
  StepTime,
  Work,
)

_GIB = 2**30
# Collectives that send fewer bytes a step share one line.
_SMALL = 10_000
COLLECTIVE_COLUMNS = (
  "collective",
  "dtype",
  "where",
  "how",
  "devices",
  "runs a step",
  "MB whole",
  "MB sent",
)
CANDIDATE_COLUMNS = (
  "sharding",
  "remat",
  "rows a chip",
  "micro-batches",
  "batch",
  "GiB needed",
  "GiB limit",
  "step ≥ ms",
  "rows/s ≤",
  "MFU ≤",
  "limited by",
)


def gib(value: float | None) -> str:
  """Format bytes as GiB."""
  return "?" if value is None else f"{value / _GIB:.2f}"


def percent(value: float) -> str:
  """Format a share as a percentage."""
  return f"{100 * value:.1f} %"


def describe_topology(plan: Plan | Search) -> str:
  """Return one line on chips, mesh and model."""
  topology = plan.topology
  parts = [f"{topology.name}: {topology.chips:,} chips"]
  if topology.devices != topology.chips:
    parts.append(f"{topology.devices:,} JAX devices")
  if isinstance(plan, Plan):
    mesh = " × ".join(f"{name} {size}" for name, size in plan.mesh.items())
    parts += [f"mesh {mesh}", f"{plan.parameters / 1e6:.1f} M parameters"]
  return ", ".join(parts)


def describe_phase(phase: PhasePlan) -> list[tuple[str, str]]:
  """Return lines (name, value) about a phase."""
  memory = phase.memory
  kinds = " + ".join(
    f"{name} {gib(size)}" for name, size in memory.by_kind.items() if size
  )
  rows = [
    (
      "batch",
      f"{phase.batch_size:,} rows of {phase.seq_length} tokens, "
      f"{phase.rows_per_chip:g} on each chip"
      + (
        f", in {phase.accumulation} micro-batches"
        if phase.accumulation > 1
        else ""
      ),
    ),
    ("memory of a device", f"{kinds} GiB"),
    ("", _fits(memory)),
    *([("in evaluation", _fits(phase.evaluation))] if phase.evaluation else []),
    ("compile time", f"{phase.compile_seconds:.0f} s"),
  ]
  if phase.work and phase.time:
    rows += _work(phase.work) + _times(phase.time)
  return rows


def _fits(memory: MemoryUse) -> str:
  sizes = f"{gib(memory.needed)} of {gib(memory.limit)} GiB"
  if memory.fits:
    return f"fits: {sizes}"
  return (
    f"DOES NOT FIT: {sizes}; give fewer rows, "
    "--config.compute.remat=attention, dots or full, more "
    "--config.optimizer.accumulation, --config.mesh.zero1=True, or --search"
  )


def _work(work: Work) -> list[tuple[str, str]]:
  rows = [
    ("FLOPs of a device", f"{work.formula_flops / 1e12:.3f} T by the formula")
  ]
  if work.products_ratio:
    rows.append(
      ("", f"{work.products_ratio:.3f} × the formula in the program's products")
    )
  if work.counted_ratio:
    rows.append(
      ("", f"{work.counted_ratio:.3f} × the formula by the compiler's count")
    )
  if work.kernels:
    rows.append(("", "attention kernels are counted by the formula"))
  moved = []
  if work.hbm_bytes:
    moved.append(f"{work.hbm_bytes / 1e9:.1f} GB in the program")
  if work.counted_bytes:
    moved.append(
      f"{work.counted_bytes / 1e9:.1f} GB by the compiler's count, which "
      "includes on-chip traffic"
    )
  rows.append(("HBM traffic", "; ".join(moved)))
  return rows


def _times(time: StepTime) -> list[tuple[str, str]]:
  ms = lambda seconds: f"{1e3 * seconds:.2f}"
  return [
    (
      "step, at least",
      f"{ms(time.step)} ms, limited by {time.limited_by}: compute "
      f"{ms(time.compute)}, memory {ms(time.memory)}, collectives overlapped "
      f"{ms(time.overlapped)}, exposed {ms(time.exposed)}",
    ),
    (
      "throughput, at most",
      f"{time.rows_per_second:,.0f} rows/s, MFU {percent(time.mfu)} (a bound)",
    ),
  ]


def describe_run(run: RunCost) -> list[tuple[str, str]]:
  """Return lines (name, value) about the cost of a whole run."""
  rows = [
    ("steps", f"{run.steps:,}"),
    ("positions", f"{run.positions / 1e9:,.2f} G"),
    (
      "time, at least",
      f"{run.hours:,.1f} hours, {run.chip_hours:,.0f} chip-hours",
    ),
  ]
  if run.price is not None:
    rows.append(("price, at least", f"{run.price:,.0f}"))
  return rows


def describe_collectives(
  rows: Iterable[CollectiveTotal],
) -> list[tuple[str, ...]]:
  """Return lines of COLLECTIVE_COLUMNS; small collectives share the last."""
  lines: list[tuple[str, ...]] = []
  small = []
  for row in rows:
    if row.wire_bytes < _SMALL:
      small.append(row)
      continue
    lines.append(
      (
        row.kind + (" between slices" if row.crosses else ""),
        row.dtype,
        "in a loop" if row.in_loop else "once",
        "overlapped" if row.overlaps else "exposed",
        f"{row.group:,}",
        *_sizes([row]),
      )
    )
  if small:
    lines.append(("smaller ones", "", "", "", "", *_sizes(small)))
  return lines


def _sizes(rows: list[CollectiveTotal]) -> tuple[str, str, str]:
  """Return runs, whole megabytes and sent megabytes of some collectives."""
  return (
    f"{sum(row.count for row in rows):,}",
    f"{sum(row.bytes for row in rows) / 1e6:,.2f}",
    f"{sum(row.wire_bytes for row in rows) / 1e6:,.2f}",
  )


def describe_candidate(each: Candidate) -> tuple[str, ...]:
  """Return a line of CANDIDATE_COLUMNS."""
  head = (each.sharding, each.remat)
  memory = (gib(each.needed), gib(each.limit))
  if not each.fits:
    return (*head, "none fits", "", "", *memory, "", "", "", "memory")
  batch = (
    f"{each.rows_per_chip:g}",
    f"{each.accumulation:,}",
    f"{each.batch_size:,}",
  )
  if each.step is None or each.rows_per_second is None or each.mfu is None:
    return (*head, *batch, *memory, "?", "?", "?", "unknown")
  return (
    *head,
    *batch,
    *memory,
    f"{1e3 * each.step:.1f}",
    f"{each.rows_per_second:,.0f}",
    percent(each.mfu),
    each.limited_by or "",
  )
