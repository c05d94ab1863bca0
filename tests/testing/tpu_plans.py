# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Made-up results of `bertjax.plan`."""

import dataclasses

from bertjax.plan import planning
from bertjax.plan.hardware import topologies
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

GIB = 2**30
V5E = planning.describe_topology(topologies.find("v5e:2x2"))


def make_memory(fits=True):
  return MemoryUse(
    fits=fits,
    limit=16 * GIB,
    needed=10 * GIB if fits else 32 * GIB,
    peak=None,
    by_kind={
      "parameters": GIB,
      "optimizer": 2 * GIB,
      "batch": 0,
      "temporaries": (5 if fits else 27) * GIB,
      "padding": GIB,
    },
  )


def make_collective(kind, dtype, megabytes, **changes):
  """A collective of eight devices that runs once."""
  size = megabytes * 10**6
  twice = 2 if kind == "all-reduce" else 1
  fields = {
    "kind": kind,
    "dtype": dtype,
    "overlaps": False,
    "in_loop": False,
    "crosses": False,
    "group": 8,
    "count": 1,
    "bytes": size,
    "largest": size,
    "wire_bytes": twice * size * 7 / 8,
  }
  return CollectiveTotal(**{**fields, **changes})


def make_work():
  """A tenth of a second of products on a v5e, half that of HBM traffic."""
  return Work(
    formula_flops=197e12 / 10,
    products_flops=197e12 / 10,
    products_ratio=1.0,
    counted_flops=None,
    counted_ratio=None,
    kernels=True,
    hbm_bytes=round(819e9 / 20),
    counted_bytes=None,
  )


def make_phase(fits=True, **changes):
  """A phase without bounds, unless `changes` has them."""
  fields = {
    "steps": 3,
    "seq_length": 128,
    "max_packs": 1,
    "batch_size": 8,
    "rows_per_chip": 2.0,
    "accumulation": 2,
    "positions": 1024,
    "compile_seconds": 3.0,
    "memory": make_memory(fits),
    "notes": ("a note",),
  }
  return PhasePlan(**{**fields, **changes})


def make_bounded_phase():
  return make_phase(
    work=make_work(),
    collectives=(
      make_collective("all-reduce", "bf16", 600, crosses=True),
      make_collective("all-reduce", "f32", 3, in_loop=True),
      make_collective("all-gather", "s32", 0, count=7),
    ),
    time=StepTime(0.1, 0.05, 0.0, 0.02, 0.12, "compute", 0.8, 66.0),
  )


def make_plan(*phases, run=None):
  return Plan(
    topology=V5E,
    mesh={"data": 4},
    parameters=1000,
    config={"steps": 3, "data": {"seq_length": 128}},
    phases=phases,
    run=run,
    notes=("a choice",),
  )


def make_run():
  return RunCost(3, 3072, 2.0, 8.0, 12.0)


def make_candidate(fits=True, bounded=True):
  candidate = Candidate("zero1", "none", fits, 32, 8.0, None, 16 * GIB)
  if not fits:
    return candidate
  candidate = dataclasses.replace(candidate, needed=GIB)
  if not bounded:
    return candidate
  return dataclasses.replace(
    candidate, step=0.1, rows_per_second=320.0, mfu=0.5, limited_by="memory"
  )


def make_search():
  return Search(
    topology=V5E,
    config={"steps": 3},
    candidates=(
      make_candidate(),
      make_candidate(bounded=False),
      make_candidate(fits=False),
    ),
    notes=("a choice",),
  )
