# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The largest batch that fits, over shardings and remat policies.

What a step needs grows evenly with its rows: two compiles tell how, and a
third verifies the largest batch that follows.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bertjax import checks
from bertjax.checks.model import REMATS
from bertjax.config import MeshConfig, PretrainConfig
from bertjax.phases import Phase, split_phases
from bertjax.plan import compiling, planning
from bertjax.plan.topologies import Topology, get_devices

SHARDINGS = ("data", "zero1", "fsdp", "tensor=2")
# Positions of a device to begin with: small enough for any chip.
_FIRST = 2_048
_ATTEMPTS = 4
# Rows of a device → what is known of such a step.
Try = Callable[[int], dict[str, Any]]


def search(
  config: PretrainConfig,
  topology: Topology,
  tell: planning.Tell = lambda line: None,
) -> list[dict[str, Any]]:
  """Find the largest batch of each candidate for the last phase of a run.

  All shardings are tried without remat, and all remat policies with ZeRO-1.

  Returns:
    One for each, the best bound first, those that never fit last: `sharding`,
    `remat`, `fits`, `rows_per_chip`, `batch_size`, `needed` and `limit` (bytes
    of a device), `step` (seconds), `rows_per_second`, `mfu`, `limited_by`.
    Times are bounds.

  Raises:
    ValueError: a mistake of the user's, or libtpu cannot be had.
  """
  config = _searched(config)
  rows = _unit(config.mesh, topology)
  config, _ = planning.prepare(
    dataclasses.replace(config, batch_size=rows), topology
  )
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
  return sorted(found, key=lambda each: -each.get("rows_per_second", 0.0))


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
    for remat in REMATS:
      yield name, mesh, remat


def largest(attempt: Try, first: int) -> dict[str, Any]:
  """Return the largest step that fits.

  Args:
    attempt: rows of a shard of the batch → `fits`, `needed` (bytes, None
      where it is not told), `limit`, and what else is to be returned.
    first: rows to begin with.
  """
  best = attempt(first)
  while not best["fits"] and first > 1:
    first //= 2
    best = attempt(first)
  if not best["fits"]:
    return best
  points = [(first, best["needed"])]
  rows, result, too_many = 2 * first, best, math.inf
  for _ in range(_ATTEMPTS):
    tried = attempt(rows)
    if tried["fits"]:
      best, result = tried, tried
      points.append((rows, tried["needed"]))
      fitting = rows
    else:
      too_many = min(too_many, rows)
      fitting = max(place for place, _ in points if place < too_many)
      if tried["needed"] is not None:
        points.append((rows, tried["needed"]))
    rows = min(predict(points, best["limit"]), too_many - 1)
    rows = int(rows) // 2 * 2 if rows >= 8 else int(rows)
    if rows <= fitting:
      break
  return result


def predict(points: Sequence[tuple[int, float]], limit: float) -> int:
  """Return the rows that just fit, by the line through the last two points."""
  if len(points) < 2:
    return 0
  (a, low), (b, high) = sorted(points)[-2:]
  slope = (high - low) / (b - a)
  if slope <= 0:
    return 2 * b  # nothing grows yet: kept on the chip
  return math.floor(b + (limit - high) / slope)


def _searched(config: PretrainConfig) -> PretrainConfig:
  """The last phase of a run, as a run of its own and without micro-batches."""
  config = split_phases(config)[-1].config
  defaults = PretrainConfig()
  return dataclasses.replace(
    config,
    phase2=defaults.phase2,
    optimizer=dataclasses.replace(config.optimizer, accumulation=1),
    mesh=MeshConfig(slices=config.mesh.slices),
  )


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
  if result["fits"]:
    time = entry["time"]
    names = ("step", "rows_per_second", "mfu", "limited_by")
    result |= {name: time[name] for name in names}
  return result
