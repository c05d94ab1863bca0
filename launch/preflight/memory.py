# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the memory of a run's steps, as the compiler reports it.

This compiles for the devices that are here. `launch.plan` does so for others.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax

from launch.preflight.findings import Finding, judge
from launch.preflight.policy import Policy
from launch.run.assembly import RunSpec
from launch.run.phase import PhaseRun


def judge_memory(
  spec: RunSpec, policy: Policy, limit: int | None = None
) -> Iterator[Finding]:
  """Compile the steps of a run, and judge the memory that one device needs.

  Args:
    spec: the run.
    policy: limits and levels that the user set.
    limit: bytes of a device; None asks the device. Nothing is compiled where
      it does not know, as on CPUs.
  """
  device = spec.program.mesh.devices.flat[0]
  limit = limit or (device.memory_stats() or {}).get("bytes_limit")
  if not limit:
    return
  for phase in spec.phases:
    for name, needed in _needed(spec, phase).items():
      yield judge(
        "device_memory",
        needed / limit,
        f"the {name} step at {phase.config.data.seq_length} tokens needs "
        f"{needed / 1e9:.2f} GB of the {limit / 1e9:.2f} GB of a device",
        "give more micro-batches with --config.optimizer.accumulation, or "
        "--config.compute.remat",
        policy,
      )


def _needed(spec: RunSpec, phase: PhaseRun) -> dict[str, int]:
  """Return the bytes that the steps of a phase need on one device."""
  state = spec.program.abstract_state()
  steps = spec.program.for_phase(phase.config)
  rows = steps.evaluation_batch_size
  return {
    "train": _bytes(steps.train_step(state), state, steps.abstract_batch()),
    # The state of the optimizer stays on the device meanwhile.
    "evaluation": _resident(state.opt_state)
    + _bytes(steps.eval_step(), state.params, steps.abstract_batch(rows)),
  }


def _resident(tree: Any) -> int:
  """Return the bytes of arrays on one device."""
  return sum(
    math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
    for leaf in jax.tree.leaves(tree)
  )


def _bytes(step: Any, *inputs: Any) -> int:
  memory = step.lower(*inputs).compile().memory_analysis()
  # Donated inputs are outputs, which count once.
  return int(
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes
  )
