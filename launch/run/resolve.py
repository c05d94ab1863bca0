# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fill in what a config leaves to the stores and the devices, once.

A run, its rehearsal and a plan of it call the same function: what is planned
is what runs. Nothing is compiled here, and no store is needed.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

from bertjax.config import (
  ModelConfig,
  PretrainConfig,
  accumulation,
  checks,
  to_mapping,
)
from bertjax.config.checks import open_choices
from bertjax.config.data import BERT_FRAME, Frame
from bertjax.config.phases import Phase, split_phases


class Stores(Protocol):
  """What a config leaves to the stores of a run."""

  @property
  def vocab_size(self) -> int:
    """Number of tokens of the tokenizer that all stores share."""
    ...

  @property
  def frame(self) -> Frame:
    """How many special tokens that tokenizer puts around texts."""
    ...

  def choose_packs(self, phase: Phase) -> int:
    """Return how many packed examples a row of this phase holds at most."""
    ...


@dataclasses.dataclass(frozen=True)
class MadeUpStores:
  """Stores for a plan or a benchmark that reads no text."""

  vocab_size: int
  max_packs: int = 1
  frame: Frame = BERT_FRAME

  def choose_packs(self, phase: Phase) -> int:
    """Return the same number for every phase."""
    del phase
    return self.max_packs


@dataclasses.dataclass(frozen=True)
class Resolved:
  """A config without open choices.

  Attributes:
    config: config of the run with vocabulary, packs and accumulation filled
      in; it does not depend on the kind of the devices.
    phases: phases of `config`; the `compute` of each is chosen for its
      length on these devices.
  """

  config: PretrainConfig
  phases: tuple[Phase, ...]

  def to_json(self) -> dict[str, Any]:
    """Return what a run stores in its workdir."""
    return {
      "config": to_mapping(self.config),
      "phases": [
        {
          "start": phase.start,
          "stop": phase.stop,
          "seq_length": phase.config.data.seq_length,
          "max_packs": phase.config.data.max_packs,
          "batch_size": phase.config.batch_size,
          "accumulation": phase.config.optimizer.accumulation,
          "attention": phase.config.compute.attention,
        }
        for phase in self.phases
      ],
    }


def resolve(
  config: PretrainConfig,
  stores: Stores,
  origin: ModelConfig | None,
  devices: Sequence[Any],
) -> Resolved:
  """Return `config` with everything filled in that it leaves open.

  Resolving the result again changes nothing.

  Args:
    config: as the user gave it.
    stores: `MadeUpStores` where no text is read.
    origin: model of the bundle that the run continues from, or None.
    devices: JAX devices of the whole mesh, real or of a topology.

  Raises:
    ValueError: the user's mistake, in one line.
  """
  model = _fill_vocabulary(config.model, stores.vocab_size, origin)
  config = dataclasses.replace(config, model=model)
  config = accumulation.fit_batches(config, len(devices))
  checks.check_pretrain(
    config,
    num_devices=len(devices),
    vocab_size=stores.vocab_size,
    frame=stores.frame,
  )
  config = _fill_phases(config, stores)
  return Resolved(
    config,
    tuple(_resolve_compute(phase, devices) for phase in split_phases(config)),
  )


def _fill_vocabulary(
  model: ModelConfig, num_tokens: int, origin: ModelConfig | None
) -> ModelConfig:
  """Return `model` with rows for `num_tokens`, unless it says how many."""
  if model.vocab_size:
    return model
  size = checks.padded_vocab_size(num_tokens)
  # A table that has room keeps its rows; an extended vocabulary may need more.
  if origin is not None and num_tokens <= origin.vocab_size:
    size = origin.vocab_size
  return dataclasses.replace(model, vocab_size=size)


def _fill_phases(config: PretrainConfig, stores: Stores) -> PretrainConfig:
  """Fill in the shapes, so that two ways to write a run have one identity."""
  phases = split_phases(config)
  packs = [
    phase.config.data.max_packs or stores.choose_packs(phase)
    for phase in phases
  ]
  data = dataclasses.replace(config.data, max_packs=packs[0])
  config = dataclasses.replace(config, data=data)
  if len(phases) == 1:
    return config
  second = dataclasses.replace(
    config.phase2,
    max_packs=packs[1],
    batch_size=phases[1].config.batch_size,
    accumulation=phases[1].config.optimizer.accumulation,
  )
  return dataclasses.replace(config, phase2=second)


def _resolve_compute(phase: Phase, devices: Sequence[Any]) -> Phase:
  config = phase.config
  compute = open_choices.resolve(
    config.compute, config.model, devices, config.data.seq_length, phase.names
  )
  return dataclasses.replace(
    phase, config=dataclasses.replace(config, compute=compute)
  )
