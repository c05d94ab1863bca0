# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A phase of a run, with its steps and its batches from the stores."""

import dataclasses
from collections.abc import Mapping

from bertjax.config import phases
from bertjax.train.program import PhaseProgram, Program
from data_pipelines.rows.evaluation import EvaluationBatches
from data_pipelines.rows.pipeline import Pipeline
from launch.run.stores import OpenStores


@dataclasses.dataclass(frozen=True)
class PhaseRun(phases.Phase):
  """Steps of one shape, and their batches.

  Attributes:
    program: the jitted steps.
    pipeline: training batches; its step 0 is `start`.
    evaluation: store name → validation batches, where the store has any.
    rows: store name → rows in a batch.
    further: the same as `evaluation` of stores that are not trained on.
  """

  program: PhaseProgram
  pipeline: Pipeline
  evaluation: Mapping[str, EvaluationBatches]
  rows: Mapping[str, int]
  further: Mapping[str, EvaluationBatches]

  @property
  def evaluates(self) -> bool:
    """Whether anything is evaluated."""
    return bool(self.evaluation or self.further)


def make_phase(
  phase: phases.Phase, stores: OpenStores, program: Program
) -> PhaseRun:
  """Open the batches of a resolved phase.

  Raises:
    ValueError: rows that cannot be made of these stores.
  """
  return PhaseRun(
    start=phase.start,
    stop=phase.stop,
    config=phase.config,
    program=program.for_phase(phase.config),
    pipeline=stores.pipeline(phase),
    evaluation=stores.evaluation(phase.config),
    rows=stores.mixture.rows(phase.config.batch_size),
    further=stores.further_evaluation(phase.config),
  )
