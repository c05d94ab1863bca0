# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A family of encoders in transformers: its names, and what it can express."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bertjax.config import ModelConfig
from bertjax.interop import config_fields
from bertjax.interop.architectures import (
  CLASSIFICATION,
  ENCODER,
  MASKED_LM,
  MULTIPLE_CHOICE,
  PRETRAINING,
  QUESTION_ANSWERING,
  TOKEN_CLASSIFICATION,
)
from bertjax.interop.table import Entry

Tensors = dict[str, np.ndarray]
Params = Mapping[str, Any]
# Fields that are in no file: how weights start, and where dropout acts.
_UNWRITTEN = frozenset(
  {"init", "position_init"} | {"attention_output_dropout", "mlp_dropout_place"}
)


def classes(start: str, pretraining: str = "ForMaskedLM") -> dict[str, str]:
  """Return the classes of transformers by keys of ARCHITECTURES.

  Args:
    start: the beginning of their names.
    pretraining: the end of the name of the class with all heads.
  """
  return {
    ENCODER: f"{start}Model",
    PRETRAINING: start + pretraining,
    MASKED_LM: f"{start}ForMaskedLM",
    CLASSIFICATION: f"{start}ForSequenceClassification",
    TOKEN_CLASSIFICATION: f"{start}ForTokenClassification",
    QUESTION_ANSWERING: f"{start}ForQuestionAnswering",
    MULTIPLE_CHOICE: f"{start}ForMultipleChoice",
  }


@dataclasses.dataclass(frozen=True)
class HeadRate:
  """A dropout rate in front of heads, a field of config.json.

  Attributes:
    architectures: keys of ARCHITECTURES of the classes that it is for.
    usual: the rate where a file does not give one; None stands for the rate of
      hidden states.
  """

  architectures: tuple[str, ...]
  usual: float | None = None

  def written(self, config: ModelConfig, architecture: str) -> float | None:
    """Return what config.json says for a class; None if it says nothing.

    A head of ours drops at the rate of hidden states.
    """
    is_own = self.usual is not None and architecture in self.architectures
    return config.hidden_dropout_rate if is_own else None

  def read(self, given: float | None, config: ModelConfig) -> float:
    """Return the rate that transformers takes from what a file says."""
    found = self.usual if given is None else given
    return config.hidden_dropout_rate if found is None else found


@dataclasses.dataclass(frozen=True)
class Family:
  """One family: a record of names, and of the choices that it can express.

  Attributes:
    title: its name in messages.
    model_type: its name in `config.json`.
    classes: key of ARCHITECTURES → class of transformers.
    prefix: what all names of the encoder and the pooler begin with, in every
      class but the base class.
    bare: what those names begin with in the base class.
    table: the names of all parameters.
    heads: key of ARCHITECTURES → rows in place of those of the table.
    tied: copies of tensors in the table that some files hold: copy → original.
    buffers: tensors of old files that are no parameters.
    has_pooler: whether the base class has a pooler.
    choices: fields of `ModelConfig` that differ from BERT's in every model.
    varies: fields of `ModelConfig` → whether a value can be expressed, of
      those that `sizes` and `rates` do not name.
    sizes: fields of `ModelConfig` → fields that every config.json has.
    rates: fields of `ModelConfig` → fields that some config.json lack.
    head_rates: fields of config.json with dropout rates of heads.
    activation: the field of the activation.
    activations: names of activations, from ours to theirs.
    pooling: the field of how a sequence is pooled; "" where it is [CLS].
    fixed: fields of config.json that only one value of can be read.
    without_effect: fields of config.json that change no score.
    more: fields of config.json that `read` reads.
    read: config.json → fields of `ModelConfig`, beyond sizes and rates.
    write: shape, id of padding → fields of config.json, beyond these.
    adapt: parameters, shape, id of padding → the same model in numbers that
      the family can express.
    settle: shape, tensors, class → the shape, where tensors tell more of it.
    constants: shape → tensors that are no parameters here.
  """

  title: str
  model_type: str
  classes: Mapping[str, str]
  prefix: str
  bare: tuple[str, ...]
  table: tuple[Entry, ...]
  heads: Mapping[str, tuple[Entry, ...]] = dataclasses.field(
    default_factory=dict
  )
  tied: Mapping[str, str] = dataclasses.field(default_factory=dict)
  buffers: tuple[str, ...] = ()
  has_pooler: bool = False
  choices: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  varies: Mapping[str, Callable[[Any], bool]] = dataclasses.field(
    default_factory=dict
  )
  sizes: Mapping[str, str] = dataclasses.field(
    default_factory=lambda: config_fields.SIZES
  )
  rates: Mapping[str, str] = dataclasses.field(
    default_factory=lambda: config_fields.RATES
  )
  head_rates: Mapping[str, HeadRate] = dataclasses.field(default_factory=dict)
  activation: str = "hidden_act"
  activations: Mapping[str, str] = dataclasses.field(
    default_factory=lambda: config_fields.ACTIVATIONS
  )
  pooling: str = ""
  fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  without_effect: frozenset[str] = frozenset()
  more: frozenset[str] = frozenset()
  read: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda _: {}
  write: Callable[[ModelConfig, int], dict[str, Any]] = lambda *_: {}
  adapt: Callable[[Params, ModelConfig, int], tuple[Params, ModelConfig]] = (
    lambda params, config, _: (params, config)
  )
  settle: Callable[[ModelConfig, Tensors, str], ModelConfig] = (
    lambda config, *_: config
  )
  constants: Callable[[ModelConfig], Tensors] = lambda _: {}

  def entries(self, architecture: str) -> list[Entry]:
    """Return the rows of the names that an architecture has."""
    own = self.heads.get(architecture, ())
    named = {entry.ours for entry in own}
    return [*own, *(entry for entry in self.table if entry.ours not in named)]

  def class_of(self, architecture: str, config: ModelConfig) -> str:
    """Return the class of transformers for a key of ARCHITECTURES.

    Raises:
      ValueError: the family has no such class.
    """
    if architecture == PRETRAINING and not config.pooler:
      architecture = MASKED_LM
    if architecture not in self.classes:
      raise ValueError(
        f"{architecture} has no counterpart among the classes of {self.title}; "
        f"give one of {', '.join(self.classes)}"
      )
    return self.classes[architecture]

  def architecture_of(self, name: str) -> str | None:
    """Return the key of ARCHITECTURES for a class; None of another family."""
    for architecture, theirs in self.classes.items():
      if theirs == name:
        return architecture
    return None

  @property
  def drops(self) -> bool:
    """Whether its published models have dropout."""
    usual = ModelConfig().hidden_dropout_rate
    return self.choices.get("hidden_dropout_rate", usual) > 0

  def base(self, config: ModelConfig) -> ModelConfig:
    """Return the shape of the base class, with its pooler or without."""
    return dataclasses.replace(config, pooler=self.has_pooler)

  def differences(self, config: ModelConfig) -> Iterator[str]:
    """Yield the choices of a model that the family cannot express."""
    for field in dataclasses.fields(config):
      name, value = field.name, getattr(config, field.name)
      if name == "activation":
        fits = value in self.activations
      elif name in self.varies:
        fits = self.varies[name](value)
      elif name in {*self.sizes, *self.rates, *_UNWRITTEN}:
        fits = True
      else:
        fits = value == self.choices.get(name, field.default)
      if not fits:
        yield f"model.{name}={value}"

  def check(self, config: ModelConfig) -> None:
    """Refuse an encoder that differs from the family's in more than sizes.

    Raises:
      ValueError: the first choice that the family has otherwise.
    """
    for choice in self.differences(config):
      raise ValueError(
        f"{choice} is not of {self.title}, and {self.title}'s layout has no "
        "place for it; give --format=bundle"
      )
