# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A phase of a run and the batches that it takes from the store."""

import dataclasses

from bertjax import phases
from data_pipelines.pretraining import (
  EvaluationBatches,
  PretrainingPipeline,
  evaluation_batches,
)
from data_pipelines.store import Store

VALIDATION = "validation"


@dataclasses.dataclass(frozen=True)
class Phase(phases.Phase):
  """Steps of one shape, and their batches.

  Attributes:
    pipeline: training batches; its step 0 is `start`.
    evaluation: validation batches; None where there is no such split.
  """

  pipeline: PretrainingPipeline
  evaluation: EvaluationBatches | None


def make_phase(phase: phases.Phase, store: Store) -> Phase:
  """Open the batches of a phase, and choose its packs where none are given.

  Raises:
    ValueError: rows that cannot be made of this store.
  """
  config = phase.config
  shape = {"objective": config.objective, "batch_size": config.batch_size}
  with phases.of_phase2(applies=phase.start > 0):
    pipeline = PretrainingPipeline(
      store,
      "train",
      data=config.data,
      # Not again what another phase began with: beyond any seed of a run, and
      # another one where the border is moved.
      seed=config.seed + (phase.start << 31),
      **shape,
    )
    data = dataclasses.replace(config.data, max_packs=pipeline.num_packs)
    evaluation = None
    if VALIDATION in store.splits and store.splits[VALIDATION].num_tokens:
      evaluation = evaluation_batches(
        store,
        VALIDATION,
        data=data,
        batches=config.evaluation.batches,
        **shape,
      )
  return Phase(
    start=phase.start,
    stop=phase.stop,
    config=dataclasses.replace(config, data=data),
    pipeline=pipeline,
    evaluation=evaluation,
  )
