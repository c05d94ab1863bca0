# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of a plan as words, alike on the terminal and on its page."""

from collections.abc import Iterable, Mapping
from typing import Any

_GIB = 2**30
_SMALL = 10_000  # bytes a step that no table has a line for
COLLECTIVE_COLUMNS = (
  "collective",
  "dtype",
  "where",
  "how",
  "devices",
  "a step",
  "MB whole",
  "MB sent",
)
CANDIDATE_COLUMNS = (
  "sharding",
  "remat",
  "rows a chip",
  "batch",
  "GiB of",
  "GiB",
  "step ≥ ms",
  "rows/s ≤",
  "MFU ≤",
  "limit",
)


def gib(value: float | None) -> str:
  """Bytes as GiB."""
  return "?" if value is None else f"{value / _GIB:.2f}"


def percent(value: float) -> str:
  """A share in per cent."""
  return f"{100 * value:.1f} %"


def describe_topology(plan: Mapping[str, Any]) -> str:
  """One line on chips, mesh and model."""
  topology = plan["topology"]
  parts = [f"{topology['name']}: {topology['chips']:,} chips"]
  if topology["devices"] != topology["chips"]:
    parts.append(f"{topology['devices']:,} JAX devices")
  if "mesh" in plan:
    mesh = " × ".join(f"{name} {size}" for name, size in plan["mesh"].items())
    parts += [f"mesh {mesh}", f"{plan['parameters'] / 1e6:.1f} M parameters"]
  return ", ".join(parts)


def describe_phase(phase: Mapping[str, Any]) -> list[tuple[str, str]]:
  """(name, value) of what is told of a phase."""
  memory = phase["memory"]
  kinds = " + ".join(
    f"{name} {gib(size)}" for name, size in memory["by_kind"].items() if size
  )
  rows = [
    (
      "rows",
      f"{phase['batch_size']:,} of {phase['seq_length']} tokens, "
      f"{phase['rows_per_chip']:g} a chip"
      + (
        f", in {phase['accumulation']} micro-batches"
        if phase["accumulation"] > 1
        else ""
      ),
    ),
    ("memory of a device", f"{kinds} GiB"),
    ("", _fits(memory)),
    ("compiled in", f"{phase['compile_seconds']:.0f} s"),
  ]
  if "work" in phase:
    rows += _work(phase["work"]) + _times(phase["time"])
  return rows


def _fits(memory: Mapping[str, Any]) -> str:
  needed, limit = memory["needed"], memory["limit"]
  if memory["fits"]:
    return f"fits: {gib(needed)} of {gib(limit)} GiB"
  return (
    f"DOES NOT FIT: {gib(needed)} of {gib(limit)} GiB; give fewer rows, "
    "--config.compute.remat=attention, dots or full, more "
    "--config.optimizer.accumulation, --config.mesh.zero1=True, or --search"
  )


def _work(work: Mapping[str, Any]) -> list[tuple[str, str]]:
  rows = [
    ("FLOPs of a device", f"{work['formula_flops'] / 1e12:.3f} T by formula")
  ]
  if work["products_ratio"]:
    rows.append(
      ("", f"{work['products_ratio']:.3f} × that in the program's products")
    )
  if work["counted_ratio"]:
    rows.append(
      ("", f"{work['counted_ratio']:.3f} × that by the compiler's count")
    )
  if work["kernels"]:
    rows.append(("", "attention kernels are counted by the formula"))
  moved = []
  if work["hbm_bytes"]:
    moved.append(f"{work['hbm_bytes'] / 1e9:.1f} GB by the program")
  if work["counted_bytes"]:
    moved.append(
      f"{work['counted_bytes'] / 1e9:.1f} GB by the compiler, which counts "
      "what stays on the chip too"
    )
  rows.append(("memory traffic", "; ".join(moved)))
  return rows


def _times(time: Mapping[str, Any]) -> list[tuple[str, str]]:
  ms = lambda name: f"{1e3 * time[name]:.2f}"
  return [
    (
      "step, at least",
      f"{ms('step')} ms, by {time['limited_by']}: compute {ms('compute')}, "
      f"memory {ms('memory')}, collectives overlapped {ms('overlapped')}, "
      f"exposed {ms('exposed')}",
    ),
    (
      "so at most",
      f"{time['rows_per_second']:,.0f} rows/s, MFU {percent(time['mfu'])} "
      "(a bound)",
    ),
  ]


def describe_run(run: Mapping[str, Any]) -> list[tuple[str, str]]:
  """(name, value) of what a whole run comes to."""
  rows = [
    ("steps", f"{run['steps']:,}"),
    ("positions", f"{run['positions'] / 1e9:,.2f} G"),
    (
      "at least",
      f"{run['hours']:,.1f} hours, {run['chip_hours']:,.0f} chip-hours",
    ),
  ]
  if run["price"] is not None:
    rows.append(("price, at least", f"{run['price']:,.0f}"))
  return rows


def describe_collectives(
  rows: Iterable[Mapping[str, Any]],
) -> list[tuple[str, ...]]:
  """Lines of a table of COLLECTIVE_COLUMNS; tiny ones are one line."""
  lines, tiny = [], [0, 0, 0.0]
  for row in rows:
    if row["wire_bytes"] < _SMALL:
      tiny[0] += row["count"]
      tiny[1] += row["bytes"]
      tiny[2] += row["wire_bytes"]
      continue
    lines.append(
      (
        row["kind"] + (" between slices" if row["crosses"] else ""),
        row["dtype"],
        "in the loop" if row["in_loop"] else "once",
        "overlapped" if row["overlaps"] else "exposed",
        f"{row['group']:,}",
        f"{row['count']:,}",
        f"{row['bytes'] / 1e6:,.2f}",
        f"{row['wire_bytes'] / 1e6:,.2f}",
      )
    )
  if tiny[0]:
    sizes = (f"{tiny[1] / 1e6:,.2f}", f"{tiny[2] / 1e6:,.2f}")
    lines.append(("smaller ones", "", "", "", "", f"{tiny[0]:,}", *sizes))
  return lines


def describe_candidate(each: Mapping[str, Any]) -> tuple[str, ...]:
  """A line of a table of CANDIDATE_COLUMNS."""
  head = (each["sharding"], each["remat"])
  needed, limit = gib(each["needed"]), gib(each["limit"])
  if not each["fits"]:
    return (*head, "none fits", "", needed, limit, "", "", "", "memory")
  batch = (f"{each['rows_per_chip']:g}", f"{each['batch_size']:,}")
  if "step" not in each:
    return (*head, *batch, needed, limit, "?", "?", "?", "not told")
  return (
    *head,
    *batch,
    needed,
    limit,
    f"{1e3 * each['step']:.1f}",
    f"{each['rows_per_second']:,.0f}",
    percent(each["mfu"]),
    each["limited_by"],
  )
