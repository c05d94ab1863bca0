# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a whole pre-training run."""

from bertjax.config import (
  PAIR_FORMATS,
  PhaseConfig,
  PretrainConfig,
  to_mapping,
)
from bertjax.config.checks.learning import (
  check_objective,
  check_optimizer,
  check_seed,
)
from bertjax.config.checks.mesh import check_mesh
from bertjax.config.checks.model import check_compute, check_model
from bertjax.config.checks.ranges import at_least, between
from bertjax.config.phases import of_phase2, split_optimizer, split_phases


def check_pretrain(
  config: PretrainConfig, *, num_devices: int, vocab_size: int
) -> None:
  """Check everything about a run that its config and its store tell.

  Args:
    config: with `model.vocab_size` as it will be built.
    num_devices: that the mesh is laid over.
    vocab_size: pieces of the store's tokenizer.

  Raises:
    ValueError: the first mistake found, with its value and the fix.
  """
  at_least(1, "steps", config.steps)
  at_least(1, "batch_size", config.batch_size)
  at_least(0, "positions_per_device", config.positions_per_device)
  at_least(1, "log_every_steps", config.log_every_steps)
  check_seed(config.seed)
  check_phase2(config)
  for phase in split_phases(config):
    data, optimizer = phase.config.data, phase.config.optimizer
    with of_phase2(applies=phase.start > 0):
      check_model(
        config.model, seq_length=data.seq_length, vocab_size=vocab_size
      )
      check_mesh(
        config.mesh,
        config.model,
        num_devices=num_devices,
        batch_size=phase.config.batch_size,
        accumulation=optimizer.accumulation,
      )
  check_objective(config.objective)
  if (
    config.objective.input_format in PAIR_FORMATS
    and config.model.type_vocab_size < 2
  ):
    raise ValueError(
      f"model.type_vocab_size={config.model.type_vocab_size}; "
      f"{config.objective.input_format} tells two sentences apart: give 2"
    )
  between(0, 1, "evaluation.mask_rate", config.evaluation.mask_rate)
  check_compute(config.compute)
  at_least(0, "checkpoint.every_steps", config.checkpoint.every_steps)
  at_least(1, "checkpoint.keep_last", config.checkpoint.keep_last)
  at_least(0, "checkpoint.keep_every_steps", config.checkpoint.keep_every_steps)
  at_least(0, "evaluation.every_steps", config.evaluation.every_steps)
  at_least(0, "evaluation.batches", config.evaluation.batches)
  at_least(0, "data.workers", config.data.workers)
  at_least(1, "data.prefetch", config.data.prefetch)
  check_profile(config)


def check_profile(config: PretrainConfig) -> None:
  """Check which steps are traced.

  Raises:
    ValueError: none of the run's.
  """
  start = config.profile.start_step
  at_least(0, "profile.start_step", start)
  at_least(1, "profile.steps", config.profile.steps)
  if start > config.steps:
    raise ValueError(
      f"profile.start_step={start} is after the last of steps={config.steps}; "
      f"give 1 to {config.steps}, or 0 to trace none"
    )


def check_phase2(config: PretrainConfig) -> None:
  """Check how a run is cut into phases.

  Raises:
    ValueError: phases that are not in it, or that no schedule fits.
  """
  second = config.phase2
  if not 0 <= second.steps < config.steps:
    raise ValueError(
      f"phase2.steps={second.steps} of steps={config.steps}; give 0 for one "
      "phase, or less than all"
    )
  for name, value in to_mapping(second).items():
    at_least(1 if name == "seq_length" else 0, f"phase2.{name}", value)
    if not second.steps and value != to_mapping(PhaseConfig())[name]:
      raise ValueError(
        f"phase2.{name}={value} without phase2.steps; give these, or leave "
        "that out"
      )
  if not second.learning_rate and second.warmup_steps:
    raise ValueError(
      f"phase2.warmup_steps={second.warmup_steps} without a "
      "phase2.learning_rate; give that, or 0 for the schedule to go on"
    )
  first, *others = split_optimizer(config.optimizer, second, config.steps)
  check_optimizer(*first)
  for optimizer, steps in others:
    with of_phase2():
      check_optimizer(optimizer, steps)
