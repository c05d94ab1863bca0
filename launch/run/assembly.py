# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a pre-training run is made of, put together before anything compiles.

Here store and tokenizer (data) meet model, mesh and optimizer (bertjax).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from bertjax.checkpoints import bundle
from bertjax.config import (
  ModelConfig,
  PretrainConfig,
  accumulation,
  checks,
  identity,
  phases,
  to_mapping,
)
from bertjax.train.program import Program, make_program
from data_pipelines.rows.mixture import Mixture, open_mixture
from data_pipelines.store.store import Store
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.vocabulary_extension import find_parts
from launch.run.phase import Phase, make_phase, rows_by_hash

# Fields of a model that trained weights do not care about.
_NOT_OF_WEIGHTS = frozenset(
  (
    "hidden_dropout_rate",
    "attention_dropout_rate",
    "initializer_std",
    "position_init",
  )
)


@dataclasses.dataclass(frozen=True)
class Parts:
  """A run before its first step.

  Attributes:
    config: as given, with the model's vocabulary and the packs filled in.
    mixture: the prepared corpus, or several with their weights.
    phases: one, or two of different shapes.
    program: model, mesh and optimizer, and the steps made of them.
    identity: what a resumed run must share.
    origin: the bundle to continue from, or None.
  """

  config: PretrainConfig
  mixture: Mixture
  phases: tuple[Phase, ...]
  program: Program
  identity: Mapping[str, Any]
  origin: bundle.BundleInfo | None

  @property
  def store(self) -> Store:
    """The prepared corpus; of several one, which has the tokenizer of all."""
    return self.mixture.members[0].store

  def phase(self, step: int) -> Phase:
    """Return the phase that `step` steps are in; at its end, still that one."""
    return next(phase for phase in self.phases if step <= phase.stop)


def assemble(config: PretrainConfig) -> Parts:
  """Open, check and build everything; compile nothing, write nothing.

  Raises:
    ValueError: a mistake of the user's, in one line.
  """
  mixture = open_mixture(config.data)
  store = mixture.members[0].store
  tokenizer = tokenizers.load(store.tokenizer_path)
  store.check_tokenizer(tokenizer.sha256)
  origin = None
  if config.init_from:
    origin = bundle.read_pretrained(config.init_from)
  config = dataclasses.replace(
    config, model=_model_config(config.model, store, origin)
  )
  if origin is not None:
    _check_origin(origin, config.model, store)
  config = accumulation.fit_batches(config, jax.device_count())
  checks.check_pretrain(
    config, num_devices=jax.device_count(), vocab_size=store.vocab_size
  )
  made = tuple(
    make_phase(phase, mixture) for phase in phases.split_phases(config)
  )
  config = _filled(config, made)
  vocabulary = tokenizer.vocabulary(mixture.token_counts(config.batch_size))
  return Parts(
    config=config,
    mixture=mixture,
    phases=made,
    program=make_program(config, vocabulary),
    identity=identity.identity(
      config,
      store_sha256=mixture.sha256,
      tokenizer_sha256=tokenizer.sha256,
      rows=rows_by_hash(mixture, made),
    ),
    origin=origin,
  )


def _filled(config: PretrainConfig, made: tuple[Phase, ...]) -> PretrainConfig:
  """Say what was chosen, so that two ways to say it are one identity."""
  packs = [phase.pipeline.num_packs for phase in made]
  data = dataclasses.replace(config.data, max_packs=packs[0])
  config = dataclasses.replace(config, data=data)
  if len(made) == 1:
    return config
  second = dataclasses.replace(
    config.phase2,
    max_packs=packs[1],
    batch_size=made[1].config.batch_size,
    accumulation=made[1].config.optimizer.accumulation,
  )
  return dataclasses.replace(config, phase2=second)


def _model_config(
  model: ModelConfig, store: Store, origin: bundle.BundleInfo | None
) -> ModelConfig:
  if model.vocab_size:
    return model
  size = checks.padded_vocab_size(store.vocab_size)
  # A table that has room keeps its rows; one that is extended may have none.
  if origin is not None and store.vocab_size <= origin.model.vocab_size:
    size = origin.model.vocab_size
  return dataclasses.replace(model, vocab_size=size)


def _check_origin(
  origin: bundle.BundleInfo, model: ModelConfig, store: Store
) -> None:
  known = origin.details["tokenizer_sha256"]
  extended = bool(find_parts(store.tokenizer_path, known))
  found = store.manifest.tokenizer.sha256
  if known != found and not extended:
    raise ValueError(
      f"init_from={origin.path} was trained with tokenizer {known[:12]} and "
      f"the store was made with {found[:12]}; prepare it with "
      f"--tokenizer={origin.path}, and --extend_vocab=N for new pieces"
    )
  theirs, ours = to_mapping(origin.model), to_mapping(model)
  if extended and ours["vocab_size"] > theirs["vocab_size"]:
    del theirs["vocab_size"]  # the table grows
  differ = [
    name
    for name in theirs
    if theirs[name] != ours[name] and name not in _NOT_OF_WEIGHTS
  ]
  if differ:
    raise ValueError(
      f"init_from={origin.path} has another model than this run's "
      f"{', '.join(f'{name}={ours[name]}' for name in differ)}; give "
      + " ".join(f"--config.model.{name}={theirs[name]}" for name in differ)
    )
