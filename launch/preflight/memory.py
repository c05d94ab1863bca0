# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the memory of a run's steps, as the compiler reports it.

This compiles for the devices that are here. `launch.plan` does so for others.
"""

from collections.abc import Callable, Iterator, Sequence

from bertjax.parallel import multihost
from bertjax.train import memory
from launch.preflight.findings import Finding, judge
from launch.preflight.policy import Policy
from launch.preflight.settle import settle
from launch.run.assembly import RunSpec
from launch.run.phase import PhaseRun


def check_memory(
  spec: RunSpec,
  phases: Sequence[PhaseRun],
  policy: Policy,
  beat: Callable[[], None],
) -> list[Finding]:
  """Settle what `judge_memory` finds, on process 0 for all.

  Args:
    spec: the run.
    phases: those of its phases that are to run.
    policy: limits and levels that the user set.
    beat: called after each compile, by which a watchdog tells slow from stuck.

  Raises:
    ValueError: a step does not fit, and `policy` does not allow that.
  """
  found = []
  for finding in judge_memory(spec, phases, policy):
    found.append(finding)
    beat()
  multihost.broadcast_from_first("memory", lambda: settle(found, policy))
  return found


def judge_memory(
  spec: RunSpec,
  phases: Sequence[PhaseRun],
  policy: Policy,
  limit: int | None = None,
) -> Iterator[Finding]:
  """Compile the steps of phases, and judge the memory that a device needs.

  The run does not compile them again. All processes of a run call this.

  Args:
    spec: the run.
    phases: those of its phases that are to run.
    policy: limits and levels that the user set.
    limit: bytes of a device; None asks the device. Nothing is compiled where
      it does not know, as on CPUs.
  """
  limit = limit or memory.device_bytes(spec.program.mesh)
  if not limit:
    return
  for phase in phases:
    for name, needed in _needed(spec, phase):
      yield judge(
        "device_memory",
        needed / limit,
        f"the {name} step at {phase.config.data.seq_length} tokens needs "
        f"{needed / 1e9:.2f} GB of the {limit / 1e9:.2f} GB of a device",
        "give more micro-batches with --config.optimizer.accumulation, or "
        "--config.compute.remat",
        policy,
      )


def _needed(spec: RunSpec, phase: PhaseRun) -> Iterator[tuple[str, float]]:
  """Yield the bytes that each step of a phase needs on one device."""
  state, steps = spec.program.abstract_state(), phase.program
  yield (
    "train",
    memory.step_bytes(steps.train_step, state, steps.abstract_batch()),
  )
  if phase.evaluation:
    batch = steps.abstract_batch(steps.evaluation_batch_size)
    # The state of the optimizer stays on the device meanwhile.
    yield (
      "evaluation",
      memory.shard_bytes(state.opt_state)
      + memory.step_bytes(steps.eval_step, state.params, batch),
    )
