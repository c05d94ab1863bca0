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
# Beyond any seed that a run may have.
SECOND_PHASE = 2**31


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
  pipeline = PretrainingPipeline(
    store,
    "train",
    data=config.data,
    # A second phase does not begin with the very pairs of the first.
    seed=config.seed + (SECOND_PHASE if phase.start else 0),
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
