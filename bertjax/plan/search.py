# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The largest batch that fits, over shardings and remat policies.

What a step needs grows evenly with its rows: two compiles tell how, and a
third verifies the largest batch that follows.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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

# Positions of a device to begin with: small enough for any chip.
_FIRST = 2_048
_ATTEMPTS = 4
# Rows of a device → what is known of such a step.
Try = Callable[[int], dict[str, Any]]


def smallest_run(config: PretrainConfig, topology: Topology) -> PretrainConfig:
  """Return the run that a search begins with, for `search` once resolved.

  It is the last phase of `config` as a run of its own, without micro-batches
  and with one row for each shard of the batch.
  """
  config = split_phases(config)[-1].config
  mesh = MeshConfig(slices=config.mesh.slices)
  return dataclasses.replace(
    config,
    phase2=PhaseConfig(),
    optimizer=dataclasses.replace(config.optimizer, accumulation=1),
    mesh=mesh,
    batch_size=_unit(mesh, topology),
  )


def search(
  config: PretrainConfig,
  topology: Topology,
  tell: planning.Tell = lambda line: None,
) -> list[dict[str, Any]]:
  """Find the largest batch of each candidate for a run of one phase.

  All shardings are tried without remat, and all remat policies with ZeRO-1.

  Args:
    config: what `smallest_run` returned, resolved.
    topology: to compile for.
    tell: is told what is about to be compiled.

  Returns:
    One for each, the best bound first, those that never fit last: `sharding`,
    `remat`, `fits`, `rows_per_chip`, `batch_size`, `needed` and `limit` (bytes
    of a device), `step` (seconds), `rows_per_second`, `mfu`, `limited_by`.
    Times are bounds, and absent where the compiler tells too little.

  Raises:
    ValueError: a mistake of the user's, or libtpu cannot be had.
  """
  devices = get_devices(topology)
  found = []
  for sharding, mesh, remat in candidates(config, topology):
    tell(f"searching: {sharding}, remat={remat}")
    changed = dataclasses.replace(
      config,
      mesh=mesh,
      compute=dataclasses.replace(config.compute, remat=remat),
    )
    best = largest(
      lambda rows, changed=changed: _try(changed, topology, devices, rows),
      first=max(1, _FIRST // config.data.seq_length),
    )
    found.append({"sharding": sharding, "remat": remat, **best})
  return sorted(
    found,
    key=lambda each: (not each["fits"], -each.get("rows_per_second", 0.0)),
  )


def candidates(
  config: PretrainConfig, topology: Topology
) -> Iterator[tuple[str, MeshConfig, str]]:
  """(sharding, mesh, remat) of what is worth a try and divides everything."""
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
        batch_size=_unit(mesh, topology),
      )
    except ValueError:
      continue
    if name != "zero1":
      yield name, mesh, "none"
      continue
    for remat in choices(ComputeConfig, "remat"):
      yield name, mesh, remat


def largest(attempt: Try, first: int) -> dict[str, Any]:
  """Return the largest step that fits; none is compiled twice.

  Args:
    attempt: rows of a shard of the batch → `fits`, `needed` (bytes, None
      where it is not told), `limit`, and what else is to be returned.
    first: rows to begin with.
  """
  points: list[tuple[int, float]] = []
  too_many = math.inf
  while not (best := attempt(first))["fits"]:
    if first == 1:
      return best
    # What failed last is the next above what fits.
    too_many, points = first, _told(first, best)
    first //= 2
  fitting = first
  points += _told(first, best)
  for _ in range(_ATTEMPTS):
    rows = predict(points, fitting, too_many, best["limit"])
    if rows <= fitting:
      break
    tried = attempt(rows)
    points += _told(rows, tried)
    if tried["fits"]:
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
    points: (rows, bytes needed) of what was tried; the line through the last
      two tells which rows just fit.
    fitting: rows that fit.
    too_many: rows that do not; infinity if none are known.
    limit: bytes that there are.
  """
  if len(points) < 2:
    rows = 2 * fitting if math.isinf(too_many) else (fitting + too_many) // 2
  else:
    (a, low), (b, high) = sorted(points)[-2:]
    slope = (high - low) / (b - a)
    # Where nothing grows yet, all is kept on the chip.
    rows = math.floor(b + (limit - high) / slope) if slope > 0 else 2 * b
  rows = int(min(rows, too_many - 1))
  return rows // 2 * 2 if rows >= 8 else rows


def _told(rows: int, tried: Mapping[str, Any]) -> list[tuple[int, float]]:
  """The point of a step, none where it is not told what it needs."""
  return [] if tried["needed"] is None else [(rows, tried["needed"])]


def _unit(mesh: MeshConfig, topology: Topology) -> int:
  """Rows of the smallest batch: one for each part that it is cut into."""
  return topology.num_devices // max(mesh.tensor, 1)


def _try(
  config: PretrainConfig,
  topology: Topology,
  devices: Sequence[Any],
  rows: int,
) -> dict[str, Any]:
  config = dataclasses.replace(
    config, batch_size=rows * _unit(config.mesh, topology)
  )
  program = compiling.build(config, devices)
  phase = Phase(0, config.steps, config)
  entry = planning.describe_phase(
    program, phase, topology, devices, count=False
  )
  kept = ("fits", "needed", "limit")
  result = {name: entry["memory"][name] for name in kept}
  result |= {name: entry[name] for name in ("batch_size", "rows_per_chip")}
  time = entry.get("time")
  if time:
    names = ("step", "rows_per_second", "mfu", "limited_by")
    result |= {name: time[name] for name in names}
  return result
