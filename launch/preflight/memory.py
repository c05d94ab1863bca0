# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the memory that steps need, as the compiler reports it.

This compiles for the devices that are here. `launch.plan` does so for others.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bertjax.finetune import fitting
from bertjax.finetune.trial import TrialInputs
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
      yield _judge(
        Step(name, phase.config.data.seq_length, needed),
        limit,
        "give more micro-batches with --config.optimizer.accumulation, or "
        "--config.compute.remat",
        policy,
      )


class Step(NamedTuple):
  """A compiled step.

  Attributes:
    name: what it does.
    seq_length: tokens of a row.
    needed: bytes that a device needs while it runs.
  """

  name: str
  seq_length: int
  needed: float


def judge_trials(
  inputs: TrialInputs,
  seeds: Sequence[int],
  policy: Policy,
  limit: int | None = None,
) -> Iterator[Finding]:
  """Compile the steps of fine-tuning, and judge the memory of a device.

  The trials do not compile them again.

  Args:
    inputs: data and programs of the trials.
    seeds: seeds of the trials that are run at once, whose first batches are
      compiled for.
    policy: limits and levels that the user set.
    limit: bytes of a device; None asks the device. Nothing is compiled where
      it does not know, as on CPUs.
  """
  limit = limit or memory.device_bytes(inputs.programs.mesh)
  if not limit:
    return
  _, length = inputs.train(seeds[0], 0)["packs_BS"].shape
  fewer = "a smaller --config.runs_at_once, " * (len(seeds) > 1)
  several = f" ({len(seeds)} runs at once)" * (len(seeds) > 1)
  yield _judge(
    Step(f"train{several}", length, fitting.train_bytes(inputs, seeds)),
    limit,
    f"give {fewer}a smaller --config.batch_size, more micro-batches with "
    "--config.optimizer.accumulation, or --config.compute.remat",
    policy,
  )
  _, length = inputs.dev.placed[0]["packs_BS"].shape
  needed = fitting.evaluation_bytes(inputs, len(seeds))
  yield _judge(
    Step(f"evaluation{several}", length, needed),
    limit,
    f"give {fewer}a smaller --config.evaluation_batch_size",
    policy,
  )


def _judge(step: Step, limit: int, fix: str, policy: Policy) -> Finding:
  return judge(
    "device_memory",
    step.needed / limit,
    f"the {step.name} step at {step.seq_length} tokens needs "
    f"{step.needed / 1e9:.2f} GB of the {limit / 1e9:.2f} GB of a device",
    fix,
    policy,
  )


def _needed(spec: RunSpec, phase: PhaseRun) -> Iterator[tuple[str, float]]:
  """Yield the bytes that each step of a phase needs on one device."""
  state, steps = spec.program.abstract_state(), phase.program
  yield (
    "train",
    memory.step_bytes(steps.train_step, state, steps.abstract_batch()),
  )
  if phase.evaluates:
    batch = steps.abstract_batch(steps.evaluation_batch_size)
    # The state of the optimizer stays on the device meanwhile.
    yield (
      "evaluation",
      memory.shard_bytes(state.opt_state)
      + memory.step_bytes(steps.eval_step, state.params, batch),
    )
