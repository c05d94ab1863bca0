# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A run as one or two phases, each of one shape. No JAX here."""

import dataclasses
from collections.abc import Sequence

from bertjax.config import PretrainConfig


@dataclasses.dataclass(frozen=True)
class Phase:
  """Consecutive steps whose batches have the same shape.

  Attributes:
    start: steps of the run before it.
    stop: steps of the run at its end.
    config: the run's, with length, packs, batch and accumulation of here.
  """

  start: int
  stop: int
  config: PretrainConfig

  @property
  def positions(self) -> int:
    """Positions of a global batch, padding included."""
    return self.config.batch_size * self.config.data.seq_length


def split_phases(config: PretrainConfig) -> tuple[Phase, ...]:
  """Return the phases of a run, in order; `phase2` is the last of its steps."""
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


def steps_left(phases: Sequence[Phase], step: int) -> float:
  """What is left after `step`, in steps as large as that one was."""
  sizes = [phase.positions for phase in phases if phase.start < step]
  work = sum(
    max(phase.stop - max(phase.start, step), 0) * phase.positions
    for phase in phases
  )
  return work / (sizes or [phases[0].positions])[-1]
