# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The largest batch that fits, for each sharding and remat policy.

The memory of a step grows linearly with its rows. Two compiles give the line,
and a third verifies the largest batch that the line predicts. The batch that a
config gives is then planned with the best of them, in as many micro-batches as
it needs. No candidate is begun after the time that a search may take.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bertjax.config import (
  ComputeConfig,
  MeshConfig,
  PhaseConfig,
  PretrainConfig,
  checks,
  choices,
)
from bertjax.config.phases import Phase, split_phases
from bertjax.plan import compiling, planning
from bertjax.plan.hardware.topologies import Topology, get_devices
from bertjax.plan.results import Candidate

# Positions on each device in the first attempt: few enough for any chip.
_FIRST = 2_048
_ATTEMPTS = 4
# Candidates with which the batch that is given is planned.
_BEST = 3
# Compiles a step of micro-batches with this many rows on each shard of the
# batch; a second argument is the number of micro-batches, 1 without it.
Attempt = Callable[..., Candidate]


def smallest_run(config: PretrainConfig, topology: Topology) -> PretrainConfig:
  """Return the run that a search begins with, for `search` once resolved.

  It is the last phase of `config` as a run of its own, without micro-batches
  and with one row on each shard of the batch.
  """
  config = split_phases(config)[-1].config
  mesh = MeshConfig(slices=config.mesh.slices)
  return dataclasses.replace(
    config,
    phase2=PhaseConfig(),
    optimizer=dataclasses.replace(config.optimizer, accumulation=1),
    mesh=mesh,
    batch_size=_num_shards(mesh, topology),
  )


def search(
  config: PretrainConfig,
  topology: Topology,
  report: planning.Report = lambda line: None,
  *,
  batch_size: int = 0,
  minutes: float = math.inf,
) -> tuple[tuple[Candidate, ...], list[str]]:
  """Find the largest batch for each sharding and remat policy.

  Args:
    config: the only phase of `smallest_run`, resolved.
    topology: the chips to compile for.
    report: called with a line about each candidate before its compiles.
    batch_size: also planned with the best candidates, in the fewest
      micro-batches that fit; 0 leaves that out.
    minutes: no candidate is begun later.

  Returns:
    The candidates, the best bound first, those that never fit last; and notes
    on what was left out.

  Raises:
    ValueError: libtpu is missing or does not know the topology.
  """
  devices = get_devices(topology)
  end = time.monotonic() + 60 * minutes
  wanted = list(candidates(config, topology))
  found: list[Candidate] = []
  attempts: dict[tuple[str, str], Attempt] = {}
  for sharding, mesh, remat in wanted:
    if time.monotonic() > end:
      break
    report(f"searching: {sharding}, remat={remat}")
    changed = dataclasses.replace(
      config,
      mesh=mesh,
      compute=dataclasses.replace(config.compute, remat=remat),
    )
    attempt = functools.partial(_attempt, sharding, changed, topology, devices)
    first = max(1, _FIRST // config.data.seq_length)
    found.append(largest(attempt, first))
    attempts[sharding, remat] = attempt
  notes = [
    f"{sharding} with remat={remat} was not tried in {minutes:g} minutes; give "
    "more with --search_minutes"
    for sharding, _, remat in wanted[len(found) :]
  ]
  _sort(found)
  for best in found[:_BEST] if batch_size else ():
    if best.fits and time.monotonic() <= end:
      report(
        f"searching: {batch_size} rows, {best.sharding}, remat={best.remat}"
      )
      attempt = attempts[best.sharding, best.remat]
      found += split_batch(attempt, best, batch_size)
  return tuple(_sort(found)), notes


def _sort(found: list[Candidate]) -> list[Candidate]:
  found.sort(key=lambda each: (not each.fits, -(each.rows_per_second or 0.0)))
  return found


def split_batch(
  attempt: Attempt, best: Candidate, batch_size: int
) -> list[Candidate]:
  """Return a batch in the fewest micro-batches that fit, or nothing.

  Args:
    attempt: of the sharding and remat policy of `best`.
    best: the largest batch that fits at once.
    batch_size: rows of the global batch.
  """
  shards = best.batch_size // best.rows
  if batch_size % shards or batch_size == best.batch_size:
    return []
  rows = batch_size // shards
  tried = 0
  for parts in range(1, rows + 1):
    if rows % parts or rows // parts > best.rows:
      continue
    # Sums of gradients need memory that one large batch does not.
    candidate = attempt(rows // parts, parts)
    tried += 1
    if candidate.fits or tried == _ATTEMPTS:
      return [candidate] if candidate.fits else []
  return []


def candidates(
  config: PretrainConfig, topology: Topology
) -> Iterator[tuple[str, MeshConfig, str]]:
  """Yield (sharding, mesh, remat) for meshes that fit model and topology.

  All shardings without remat come first, then those that save most memory, so
  that a search that is cut short has tried what most users would.
  """
  slices = config.mesh.slices
  meshes = {
    "zero1": MeshConfig(zero1=True, slices=slices),
    "data": MeshConfig(slices=slices),
    "fsdp": MeshConfig(data=max(slices, 1), fsdp=-1, slices=slices),
    "tensor=2": MeshConfig(tensor=2, zero1=True, slices=slices),
  }
  fitting = {
    name: mesh
    for name, mesh in meshes.items()
    if _divides(mesh, config, topology)
  }
  none, *policies = choices(ComputeConfig, "remat")
  for name, mesh in fitting.items():
    yield name, mesh, none
  for name, mesh in fitting.items():
    for remat in policies:
      yield name, mesh, remat


def _divides(
  mesh: MeshConfig, config: PretrainConfig, topology: Topology
) -> bool:
  try:
    checks.check_mesh(
      mesh,
      config.model,
      num_devices=topology.num_devices,
      batch_size=_num_shards(mesh, topology),
    )
  except ValueError:
    return False
  return True


def largest(attempt: Attempt, first: int) -> Candidate:
  """Return the largest step that fits, or the smallest if none does.

  No number of rows is compiled twice.

  Args:
    attempt: compiles a step with this many rows on each shard of the batch.
    first: rows to begin with.
  """
  points: list[tuple[int, float]] = []
  too_many = math.inf
  while not (best := attempt(first)).fits:
    if first == 1:
      return best
    # Only the last failure counts: it is the closest to a batch that fits.
    too_many, points = first, _point(first, best)
    first //= 2
  fitting = first
  points += _point(first, best)
  for _ in range(_ATTEMPTS):
    rows = predict(points, fitting, too_many, best.limit)
    if rows <= fitting:
      break
    tried = attempt(rows)
    points += _point(rows, tried)
    if tried.fits:
      best, fitting = tried, rows
    else:
      too_many = min(too_many, rows)
  return best


def predict(
  points: Sequence[tuple[int, float]],
  fitting: int,
  too_many: float,
  limit: float,
) -> int:
  """Return the rows to try next, fewer than `too_many`.

  Args:
    points: (rows, bytes needed) of earlier attempts. The line through the two
      largest gives the rows that just fit.
    fitting: rows that fit.
    too_many: rows that do not fit; infinity if none are known.
    limit: bytes that a program may use.
  """
  if len(points) < 2:
    rows = 2 * fitting if math.isinf(too_many) else (fitting + too_many) // 2
  else:
    (a, low), (b, high) = sorted(points)[-2:]
    slope = (high - low) / (b - a)
    # Small batches may need no HBM for temporaries, which stay on the chip.
    rows = math.floor(b + (limit - high) / slope) if slope > 0 else 2 * b
  rows = int(min(rows, too_many - 1))
  return rows // 2 * 2 if rows >= 8 else rows


def _point(rows: int, tried: Candidate) -> list[tuple[int, float]]:
  """Return (rows, bytes needed), or nothing if the bytes are not known."""
  return [] if tried.needed is None else [(rows, tried.needed)]


def _num_shards(mesh: MeshConfig, topology: Topology) -> int:
  """Return the number of shards of the batch."""
  return topology.num_devices // max(mesh.tensor, 1)


def _attempt(
  sharding: str,
  config: PretrainConfig,
  topology: Topology,
  devices: Sequence[Any],
  rows: int,
  accumulation: int = 1,
) -> Candidate:
  """Compile a step of micro-batches with `rows` on each shard of the batch."""
  config = dataclasses.replace(
    config,
    batch_size=rows * accumulation * _num_shards(config.mesh, topology),
    optimizer=dataclasses.replace(config.optimizer, accumulation=accumulation),
  )
  program = compiling.build(config, devices)
  phase = Phase(0, config.steps, config)
  # A step of evaluation is a forward pass of as many rows: it needs less.
  plan = planning.plan_phase(
    program, phase, topology, devices, count=False, evaluation=False
  )
  candidate = Candidate(
    sharding=sharding,
    remat=config.compute.remat,
    fits=plan.memory.fits,
    batch_size=plan.batch_size,
    rows_per_chip=plan.rows_per_chip,
    needed=plan.memory.needed,
    limit=plan.memory.limit,
    rows=rows,
    accumulation=accumulation,
  )
  if plan.time is None:
    return candidate
  return dataclasses.replace(
    candidate,
    step=plan.time.step,
    rows_per_second=plan.time.rows_per_second,
    mfu=plan.time.mfu,
    limited_by=plan.time.limited_by,
  )
