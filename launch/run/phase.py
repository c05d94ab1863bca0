# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A phase of a run and the batches that it takes from its stores."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bertjax.config import PretrainConfig, phases
from data_pipelines.rows.evaluation import EvaluationBatches, evaluation_batches
from data_pipelines.rows.mixture import Mixture
from data_pipelines.rows.mixture_pipeline import MixturePipeline
from data_pipelines.rows.pipeline import Pipeline, PretrainingPipeline

VALIDATION = "validation"


@dataclasses.dataclass(frozen=True)
class Phase(phases.Phase):
  """Steps of one shape, and their batches.

  Attributes:
    pipeline: training batches; its step 0 is `start`.
    evaluation: validation batches of each store that has any, by its name.
    rows: of each store in a batch, by its name.
  """

  pipeline: Pipeline
  evaluation: Mapping[str, EvaluationBatches]
  rows: Mapping[str, int]

  def describe_rows(self) -> list[str]:
    """Tell what the steps of this phase read, a line each for a mixture."""
    steps, config = self.stop - self.start, self.config
    rows = self.pipeline.report()
    lines = [
      f"steps {self.start + 1:,} to {self.stop:,}: "
      f"{config.batch_size} rows of {config.data.seq_length}, "
      f"{self.pipeline.num_packs} examples a row at most; "
      f"{rows['efficiency']:.1%} no padding; of the tokens "
      f"{rows['truncated_share']:.1%} cut off and "
      f"{rows['random_token_share']:.1%} random partners, "
      f"{rows['random_share']:.1%} of the examples; "
      f"{self.pipeline.epoch(steps):.2f} epochs"
    ]
    if isinstance(self.pipeline, MixturePipeline):
      members = self.pipeline.members.items()
      lines += [
        f"  {name}: {each.batch_size} of {config.batch_size} rows "
        f"({each.batch_size / config.batch_size:.1%}), "
        f"{each.report()['efficiency']:.1%} no padding, "
        f"{each.epoch(steps):.2f} epochs"
        + ("" if name in self.evaluation else "; no validation split")
        for name, each in sorted(members, key=lambda item: -item[1].batch_size)
      ]
    return lines


def make_phase(phase: phases.Phase, mixture: Mixture) -> Phase:
  """Open the batches of a phase, and choose its packs where none are given.

  Raises:
    ValueError: rows that cannot be made of these stores.
  """
  config = phase.config
  with phases.of_phase2(applies=phase.start > 0):
    # Not again what another phase began with: beyond any seed of a run, and
    # another one where the border is moved.
    seed = config.seed + (phase.start << 31)
    pipeline = _make_pipeline(config, mixture, seed)
    data = dataclasses.replace(config.data, max_packs=pipeline.num_packs)
    config = dataclasses.replace(config, data=data)
    evaluation = _make_evaluation(config, mixture)
  return Phase(
    start=phase.start,
    stop=phase.stop,
    config=config,
    pipeline=pipeline,
    evaluation=evaluation,
    rows=mixture.rows(config.batch_size),
  )


def _make_pipeline(
  config: PretrainConfig, mixture: Mixture, seed: int
) -> Pipeline:
  shape = {
    "objective": config.objective,
    "data": config.data,
    "batch_size": config.batch_size,
    "seed": seed,
  }
  if len(mixture.members) == 1:
    return PretrainingPipeline(mixture.members[0].store, "train", **shape)
  return MixturePipeline(mixture, "train", **shape)


def _make_evaluation(
  config: PretrainConfig, mixture: Mixture
) -> dict[str, EvaluationBatches]:
  return {
    member.name: evaluation_batches(
      member.store,
      VALIDATION,
      objective=config.objective,
      data=config.data,
      batch_size=config.batch_size,
      batches=config.evaluation.batches,
    )
    for member in mixture.members
    if VALIDATION in member.store.splits
    and member.store.splits[VALIDATION].num_tokens
  }


def rows_by_hash(
  mixture: Mixture, made: Sequence[Phase]
) -> list[dict[str, int]]:
  """Rows of each store in each phase, if there are several; for the identity.

  Stores are told by their content, since they may be moved.
  """
  if len(mixture.members) == 1:
    return []
  return [
    {
      member.store.sha256[:12]: phase.rows[member.name]
      for member in mixture.members
    }
    for phase in made
  ]


def describe_stores(mixture: Mixture, made: Sequence[Phase]) -> dict[str, Any]:
  """What a bundle says of the stores; of several also their share of the rows.

  Returns:
    `corpus` and `store_sha256`; of several stores by name, and `mixture`.
  """
  corpora = {
    member.name: member.store.manifest.corpus for member in mixture.members
  }
  if len(corpora) == 1:
    return {"corpus": corpora.popitem()[1], "store_sha256": mixture.sha256}
  steps = [phase.stop - phase.start for phase in made]
  rows = {
    name: sum(
      n * phase.rows[name] for n, phase in zip(steps, made, strict=True)
    )
    for name in corpora
  }
  return {
    "corpus": corpora,
    "store_sha256": {
      member.name: member.store.sha256 for member in mixture.members
    },
    "mixture": {name: each / sum(rows.values()) for name, each in rows.items()},
  }
