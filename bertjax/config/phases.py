# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A run as one or two phases, each of one shape. No JAX here."""

import dataclasses
from collections.abc import Sequence

from bertjax.config import OptimizerConfig, PhaseConfig, PretrainConfig
from bertjax.config.names import PHASE2, PRETRAINING, FieldNames


@dataclasses.dataclass(frozen=True)
class Phase:
  """Consecutive steps whose batches have the same shape.

  Attributes:
    start: steps of the run before this phase.
    stop: steps of the run at the end of this phase.
    config: the run's, with the length, packs, batch and accumulation of this
      phase.
  """

  start: int
  stop: int
  config: PretrainConfig

  @property
  def names(self) -> FieldNames:
    """Names of the fields that set the shape of this phase."""
    return PHASE2 if self.start else PRETRAINING

  @property
  def positions(self) -> int:
    """Positions of a global batch, padding included."""
    return self.config.batch_size * self.config.data.seq_length


def split_phases(config: PretrainConfig) -> tuple[Phase, ...]:
  """Return the phases of a run, in order; `phase2` has its last steps."""
  second = config.phase2
  border = config.steps - second.steps
  if not second.steps:
    return (Phase(0, border, config),)
  other = dataclasses.replace(
    config,
    batch_size=second.batch_size or config.batch_size,
    data=dataclasses.replace(
      config.data, seq_length=second.seq_length, max_packs=second.max_packs
    ),
    optimizer=dataclasses.replace(
      config.optimizer,
      accumulation=second.accumulation or config.optimizer.accumulation,
    ),
  )
  return Phase(0, border, config), Phase(border, config.steps, other)


def split_optimizer(
  first: OptimizerConfig, second: PhaseConfig, steps: int
) -> tuple[tuple[OptimizerConfig, int], ...]:
  """Return the schedules of a run, each with its steps, in order.

  There is one for all `steps`, unless `second` has a learning rate of its own.
  """
  if not second.steps or not second.learning_rate:
    return ((first, steps),)
  other = dataclasses.replace(
    first, learning_rate=second.learning_rate, warmup_steps=second.warmup_steps
  )
  return (first, steps - second.steps), (other, second.steps)


def steps_left(phases: Sequence[Phase], step: int) -> float:
  """Return the positions left after `step`, in steps of the size of `step`."""
  sizes = [phase.positions for phase in phases if phase.start < step]
  work = sum(
    max(phase.stop - max(phase.start, step), 0) * phase.positions
    for phase in phases
  )
  return work / (sizes or [phases[0].positions])[-1]
