# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The prepared stores of a run, and the batches that its phases take."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bertjax.config import PretrainConfig, phases
from bertjax.config.accumulation import micro_batch_size
from bertjax.config.data import Frame
from data_pipelines.rows.evaluation import EvaluationBatches, evaluation_batches
from data_pipelines.rows.further_stores import (
  open_further_stores,
  parse_paths,
)
from data_pipelines.rows.mixture import Mixture, open_mixture, parse_weights
from data_pipelines.rows.mixture_pipeline import MixturePipeline
from data_pipelines.rows.pipeline import Pipeline, PretrainingPipeline
from data_pipelines.rows.store_statistics import count_tokens
from data_pipelines.store.store import Store
from data_pipelines.tokenizers import tokenizers
from launch.commands import output_paths
from launch.commands.output_paths import Path

VALIDATION = "validation"


@dataclasses.dataclass(frozen=True)
class OpenStores:
  """One store, or several with their weights; each pipeline is made once.

  Attributes:
    mixture: stores that the run trains on, and evaluates.
    further: stores by name that it evaluates only.
  """

  mixture: Mixture
  further: Mapping[str, Store] = dataclasses.field(default_factory=dict)
  _pipelines: dict[Any, Pipeline] = dataclasses.field(default_factory=dict)

  @property
  def first(self) -> Store:
    """The store that has the tokenizer of all of them."""
    return self.mixture.members[0].store

  @property
  def is_mixture(self) -> bool:
    """Whether there are several stores."""
    return len(self.mixture.members) > 1

  @property
  def vocab_size(self) -> int:
    """Number of tokens of the tokenizer."""
    return self.first.vocab_size

  @property
  def frame(self) -> Frame:
    """How many special tokens the tokenizer puts around texts."""
    template = self.first.template
    return Frame(template.count(pair=False), template.count(pair=True))

  def choose_packs(self, phase: phases.Phase) -> int:
    """Return the packed examples a row that the sentence lengths suggest."""
    return self.pipeline(phase).num_packs

  def pipeline(self, phase: phases.Phase) -> Pipeline:
    """Return the training batches of a phase; step 0 is the phase's first.

    Raises:
      ValueError: rows that cannot be made of these stores.
    """
    config = phase.config
    self.mixture.rows(config.batch_size, phase.names)  # each store has a row
    shape = {
      "objective": config.objective,
      "data": config.data,
      "batch_size": config.batch_size,
      # Phase 2 must not repeat the batches that phase 1 began with: its seed is
      # beyond any seed of a run, and another one where the border is moved.
      "seed": config.seed + (phase.start << 31),
    }
    open_data = dataclasses.replace(config.data, max_packs=0)
    key = tuple({**shape, "data": open_data}.values())
    made = self._pipelines.get(key)
    if made is None or config.data.max_packs not in (0, made.num_packs):
      if self.is_mixture:
        made = MixturePipeline(self.mixture, "train", **shape)
      else:
        made = PretrainingPipeline(self.first, "train", **shape)
      self._pipelines[key] = made
    return made

  def evaluation(self, config: PretrainConfig) -> dict[str, EvaluationBatches]:
    """Return the validation batches of each store that has any, by its name."""
    return _evaluation(
      config,
      {
        member.name: member.store
        for member in self.mixture.members
        if VALIDATION in member.store.splits
        and member.store.splits[VALIDATION].num_tokens
      },
    )

  def further_evaluation(
    self, config: PretrainConfig
  ) -> dict[str, EvaluationBatches]:
    """Return the validation batches of the further stores, by name."""
    return _evaluation(config, self.further)

  def tokens_per_word(self) -> float:
    """Return the tokens a word of the training splits of all stores."""
    vocabulary = tokenizers.load(self.first.tokenizer_path).vocabulary()
    counts_V = sum(
      (member.store.token_counts() for member in self.mixture.members),
      start=np.zeros(vocabulary.size, np.int64),
    )
    return count_tokens(counts_V, vocabulary).fertility

  def rows_by_hash(
    self, rows_of_phases: Sequence[Mapping[str, int]]
  ) -> list[dict[str, int]]:
    """Return the rows of each store in each phase, for the run's identity.

    Stores are identified by content, because folders may be moved. A run with
    a single store has [].
    """
    if not self.is_mixture:
      return []
    return [
      {
        member.store.sha256[:12]: rows[member.name]
        for member in self.mixture.members
      }
      for rows in rows_of_phases
    ]

  def describe(
    self, rows_of_phases: Sequence[tuple[int, Mapping[str, int]]]
  ) -> dict[str, Any]:
    """Return the fields of a bundle's details that describe the stores.

    Args:
      rows_of_phases: for each phase, the number of steps, and the rows of each
        store in a batch.

    Returns:
      `corpus`, `store_sha256` and `tokens_per_word`. With several stores the
      first two are by name, and `mixture` has the share of the rows of each.
    """
    corpora = {
      member.name: member.store.manifest.corpus
      for member in self.mixture.members
    }
    if len(corpora) == 1:
      return {
        "corpus": corpora.popitem()[1],
        "store_sha256": self.mixture.sha256,
        "tokens_per_word": self.tokens_per_word(),
      }
    total = {
      name: sum(steps * rows[name] for steps, rows in rows_of_phases)
      for name in corpora
    }
    return {
      "corpus": corpora,
      "store_sha256": {
        member.name: member.store.sha256 for member in self.mixture.members
      },
      "tokens_per_word": self.tokens_per_word(),
      "mixture": {
        name: rows / sum(total.values()) for name, rows in total.items()
      },
    }


def check_outside_inputs(
  flag: str, value: Path | None, config: PretrainConfig, prefix: str = "config."
) -> None:
  """Refuse to write into a store or a bundle that a run reads.

  Args:
    flag: name of the flag that `value` was given by, for the error.
    value: the folder to write; None or "" if the flag was not given.
    config: names what the run reads.
    prefix: of the flags of its fields.

  Raises:
    ValueError: `value` is one of these folders, or inside of one; or a field
      that names several stores is not of its form.
  """
  data, further = config.data, config.evaluation.stores
  folders = [
    ("data.store", data.store),
    ("init_from", config.init_from),
    *(
      ("data.stores", path)
      for path in data.stores and parse_weights(data.stores)
    ),
    *(("evaluation.stores", path) for path in parse_paths(further)),
  ]
  for name, folder in folders:
    output_paths.check_outside(flag, value, {f"{prefix}{name}": folder})


def open_stores(config: PretrainConfig) -> OpenStores:
  """Open the stores that `config` names.

  Raises:
    ValueError: as `open_mixture` and `open_further_stores`.
  """
  mixture = open_mixture(config.data)
  further = config.evaluation.stores
  return OpenStores(mixture, open_further_stores(further, VALIDATION, mixture))


def _evaluation(
  config: PretrainConfig, stores: Mapping[str, Store]
) -> dict[str, EvaluationBatches]:
  return {
    name: evaluation_batches(
      store,
      VALIDATION,
      objective=config.objective,
      data=config.data,
      batch_size=micro_batch_size(config),
      rows=config.evaluation.rows,
    )
    for name, store in stores.items()
  }
