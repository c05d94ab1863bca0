# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Assemble a pre-training run before anything is compiled.

Here stores and tokenizer (data_pipelines) meet model, mesh and optimizer
(bertjax).
"""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import jax

from bertjax.checkpoints import bundle
from bertjax.config import (
  ModelConfig,
  PretrainConfig,
  checks,
  identity,
  to_mapping,
)
from bertjax.config.model import has_windows
from bertjax.objectives.masking import check_words
from bertjax.train.events import check_installed
from bertjax.train.program import Program, make_program
from configs.families import family_of
from data_pipelines.rows.planner import ROWS_VERSION
from data_pipelines.store.store import Store
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.vocabulary_extension import find_parts
from launch.run.origin import Origin, Past, find_origin
from launch.run.phase import PhaseRun, make_phase
from launch.run.resolve import Resolved, resolve
from launch.run.stores import OpenStores, open_stores

# A run may continue from a bundle whose model differs in these fields, because
# they change no trained parameter.
_FREE_FIELDS = frozenset(
  (
    "hidden_dropout_rate",
    "attention_dropout_rate",
    "attention_output_dropout",
    "mlp_dropout_place",
    "initializer_std",
    "position_init",
    "init",
  )
)
# It may also differ in these if `allow_changes` names them. The parameters were
# trained with a base, and go on with a larger one for longer rows.
_BASES = ("rotary_base", "rotary_local_base")
_NO_PAST = Past()
logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class RunSpec:
  """Everything that a run is made of, before its first step.

  Attributes:
    given: the config as the user gave it.
    resolved: the config without open choices.
    stores: one prepared corpus, or several with their weights.
    phases: one, or two of different shapes.
    program: model, mesh and optimizer, and the steps made of them.
    identity: fields that a resumed run must share.
    origin: what the parameters of step 0 are.
  """

  given: PretrainConfig
  resolved: Resolved
  stores: OpenStores
  phases: tuple[PhaseRun, ...]
  program: Program
  identity: Mapping[str, Any]
  origin: Origin

  @property
  def config(self) -> PretrainConfig:
    """The resolved config."""
    return self.resolved.config

  @property
  def store(self) -> Store:
    """The prepared corpus; the first of several, which share a tokenizer."""
    return self.stores.first

  def phase(self, step: int) -> PhaseRun:
    """Return the phase that ran step `step`, counted from 1; 0 is the first."""
    return next(phase for phase in self.phases if step <= phase.stop)

  def describe_stores(self) -> dict[str, Any]:
    """Return the stores' fields of a bundle; see `OpenStores.describe`."""
    return self.stores.describe(
      [(phase.stop - phase.start, phase.rows) for phase in self.phases]
    )


def assemble(config: PretrainConfig, past: Past = _NO_PAST) -> RunSpec:
  """Open, check and build everything; compile nothing, write nothing.

  Args:
    config: as the user gave it.
    past: what the workdir knows; a run that has a checkpoint does not need the
      bundle of `init_from`.

  Raises:
    ValueError: the user's mistake, in one line.
  """
  check_installed(config.wandb)
  stores = open_stores(config)
  tokenizer = tokenizers.load(stores.first.tokenizer_path)
  stores.first.check_tokenizer(tokenizer.sha256)
  origin = find_origin(config, past)
  if origin.info is not None:
    _check_origin(origin.info, config, stores.first)
  resolved = resolve(config, stores, origin.model, jax.devices())
  template = stores.first.template
  checks.check_segments(
    resolved.config,
    between=len(template.between),
    second_type=template.second_type,
  )
  counts_V = stores.mixture.token_counts(config.batch_size)
  vocabulary = tokenizer.vocabulary(counts_V)
  check_words(config.objective, vocabulary, counts_V)
  program = make_program(resolved.config, vocabulary)
  phases = tuple(
    make_phase(phase, stores, program) for phase in resolved.phases
  )
  return RunSpec(
    given=config,
    resolved=resolved,
    stores=stores,
    phases=phases,
    program=program,
    identity=identity.identity(
      resolved.config,
      store_sha256=stores.mixture.sha256,
      tokenizer_sha256=tokenizer.sha256,
      rows=stores.rows_by_hash([phase.rows for phase in phases]),
      init_from=origin.sha256,
      rows_version=ROWS_VERSION,
      words_version=max(
        tokenizer.words_version(member.store.token_counts())
        for member in stores.mixture.members
      ),
    ),
    origin=origin,
  )


def _check_origin(
  origin: bundle.BundleInfo, config: PretrainConfig, store: Store
) -> None:
  model = config.model
  _check_family(origin, model)
  known = origin.details.tokenizer_sha256
  extended = bool(find_parts(store.tokenizer_path, known))
  found = store.manifest.tokenizer.sha256
  if known != found and not extended:
    raise ValueError(
      f"init_from={origin.path} was trained with tokenizer {known[:12]} and "
      f"the store was made with {found[:12]}; prepare it with "
      f"--tokenizer={origin.path}, and --extend_vocab=N for new tokens"
    )
  theirs, ours = _fields(origin.model), _fields(model)
  # 0 rows become those of the bundle, or more for an extended vocabulary.
  grows = extended and ours["vocab_size"] > theirs["vocab_size"]
  if grows or not ours["vocab_size"]:
    del theirs["vocab_size"]
  # Without a pooler, pre-training makes nothing of the head of sequences.
  free = _FREE_FIELDS if model.pooler else {*_FREE_FIELDS, "sequence_head"}
  if model.positions != "learned":  # no table has a row for each of them
    free = {*free, "max_positions"}
  differ = [
    name for name in theirs if theirs[name] != ours[name] and name not in free
  ]
  bases = {name: f"model.{name}" for name in differ if name in _BASES}
  allowed = identity.allowed_names(config.allow_changes)
  refused = [name for name in differ if bases.get(name) not in allowed]
  if refused:
    instead = ""
    if bases.keys() & refused:
      names = ",".join(bases.values())
      instead = f", or allow other bases with --config.allow_changes={names}"
    raise ValueError(
      f"init_from={origin.path} does not have this run's model."
      f"{', model.'.join(f'{name}={ours[name]}' for name in refused)}; give "
      + " ".join(f"--config.model.{name}={theirs[name]}" for name in refused)
      + instead
    )
  for name in bases:
    logger.warning(
      "model.%s changes from %s, which init_from=%s was trained with, to %s",
      name,
      theirs[name],
      origin.path,
      ours[name],
    )


def _fields(model: ModelConfig) -> dict[str, Any]:
  """Return the fields of a model, with bases as its layers have them.

  A local base of 0 is that of the others, and moves with it.
  """
  fields = to_mapping(model)
  if has_windows(model):
    fields["rotary_local_base"] = model.local_base
  return fields


def _check_family(origin: bundle.BundleInfo, model: ModelConfig) -> None:
  """Refuse a bundle of another family by its name: they differ in much."""
  theirs, ours = family_of(origin.model), family_of(model)
  if theirs and ours and theirs != ours:
    raise ValueError(
      f"init_from={origin.path} is an encoder of family {theirs}, and this run "
      f"is of family {ours}; give --config=pretrain:family={theirs} and its "
      f"size, or a bundle of family {ours}"
    )
