# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The largest batch that fits, for several shardings and remat policies.

The memory of a step grows linearly with its rows. Two compiles give the line,
and a third verifies the largest batch that the line predicts.
"""

import dataclasses
import functools
import math
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
# Compiles a step with this many rows on each shard of the batch.
Attempt = Callable[[int], Candidate]


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
) -> tuple[Candidate, ...]:
  """Find the largest batch for each sharding and remat policy.

  All shardings are tried without remat, and all remat policies with ZeRO-1.

  Args:
    config: the only phase of `smallest_run`, resolved.
    topology: the chips to compile for.
    report: called with a line about each candidate before its compiles.

  Returns:
    The candidates, the best bound first, those that never fit last.

  Raises:
    ValueError: libtpu is missing or does not know the topology.
  """
  devices = get_devices(topology)
  found = []
  for sharding, mesh, remat in candidates(config, topology):
    report(f"searching: {sharding}, remat={remat}")
    changed = dataclasses.replace(
      config,
      mesh=mesh,
      compute=dataclasses.replace(config.compute, remat=remat),
    )
    attempt = functools.partial(_attempt, sharding, changed, topology, devices)
    first = max(1, _FIRST // config.data.seq_length)
    found.append(largest(attempt, first))
  found.sort(key=lambda each: (not each.fits, -(each.rows_per_second or 0.0)))
  return tuple(found)


def candidates(
  config: PretrainConfig, topology: Topology
) -> Iterator[tuple[str, MeshConfig, str]]:
  """Yield (sharding, mesh, remat) for meshes that fit model and topology."""
  slices = config.mesh.slices
  meshes = {
    "data": MeshConfig(slices=slices),
    "zero1": MeshConfig(zero1=True, slices=slices),
    "fsdp": MeshConfig(data=max(slices, 1), fsdp=-1, slices=slices),
    "tensor=2": MeshConfig(tensor=2, zero1=True, slices=slices),
  }
  for name, mesh in meshes.items():
    try:
      checks.check_mesh(
        mesh,
        config.model,
        num_devices=topology.num_devices,
        batch_size=_num_shards(mesh, topology),
      )
    except ValueError:
      continue
    if name != "zero1":
      yield name, mesh, "none"
      continue
    for remat in choices(ComputeConfig, "remat"):
      yield name, mesh, remat


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
) -> Candidate:
  """Compile a step with `rows` on each shard of the batch."""
  config = dataclasses.replace(
    config, batch_size=rows * _num_shards(config.mesh, topology)
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
