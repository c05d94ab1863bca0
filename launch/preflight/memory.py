# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the memory that steps need, as the compiler reports it.

This compiles for the devices that are here. `launch.plan` does so for others.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax

from bertjax.finetune import together
from bertjax.finetune.programs import local_part
from bertjax.finetune.trial import TrialInputs
from bertjax.parallel import feeding, multihost
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
  kept: int,
  policy: Policy,
  limit: int | None = None,
) -> Iterator[Finding]:
  """Compile the steps of fine-tuning, and judge the memory of a device.

  The trials do not compile them again.

  Args:
    inputs: data and programs of the trials.
    seeds: seeds of the trials that are run at once, whose first batches are
      compiled for.
    kept: copies of the parameters that stay on a device beside a trial's own.
    policy: limits and levels that the user set.
    limit: bytes of a device; None asks the device. Nothing is compiled where
      it does not know, as on CPUs.
  """
  limit = limit or memory.device_bytes(inputs.programs.mesh)
  if not limit:
    return
  yield _judge(
    _train_step(inputs, seeds, kept),
    limit,
    f"give {'a smaller --config.runs_at_once, ' * (len(seeds) > 1)}"
    "a smaller --config.batch_size, more micro-batches with "
    "--config.optimizer.accumulation, or --config.compute.remat",
    policy,
  )
  yield _judge(
    _evaluation(inputs, kept),
    limit,
    "give a smaller --config.evaluation_batch_size",
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


def _train_step(inputs: TrialInputs, seeds: Sequence[int], kept: int) -> Step:
  programs, seed = inputs.programs, seeds[0]
  if len(seeds) > 1:
    needed = together.step_bytes(inputs, seeds)
    # The best parameters of each trial, and those that are evaluated.
    needed += _kept_bytes(inputs, kept + len(seeds))
    _, length = inputs.train(seed, 0)["packs_BS"].shape
    return Step(f"train ({len(seeds)} runs at once)", length, needed)
  # As a trial places them, so that it finds what is compiled here.
  batch = feeding.put_batch(
    local_part(inputs.train(seed, 0), programs.mesh), programs.mesh
  )
  needed = memory.step_bytes(
    programs.train_step, programs.abstract, batch, programs.place_seed(seed)
  )
  return Step(
    "train", batch["packs_BS"].shape[1], needed + _kept_bytes(inputs, kept)
  )


def _evaluation(inputs: TrialInputs, kept: int) -> Step:
  """Return the evaluation of the split that needs most."""
  programs, params = inputs.programs, inputs.programs.abstract.params
  shapes = {
    split.placed[0]["packs_BS"].shape: split.placed[0]
    for split in (inputs.dev, inputs.test)
    if split is not None
  }
  needed = max(
    memory.step_bytes(programs.outputs, params, batch)
    for batch in shapes.values()
  )
  # The state of the optimizer stays on the device meanwhile.
  needed += memory.shard_bytes(programs.abstract.opt_state)
  (_, length), *_ = shapes
  return Step("evaluation", length, needed + _kept_bytes(inputs, kept))


def _kept_bytes(inputs: TrialInputs, kept: int) -> int:
  """Return what copies of the parameters, dev and test take on a device."""
  splits = [each.placed for each in (inputs.dev, inputs.test) if each]
  placed = jax.tree.leaves(splits)
  return kept * memory.shard_bytes(
    inputs.programs.abstract.params
  ) + memory.shard_bytes(placed)


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
