# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The model classes of transformers, and our models with the same parts.

They have the names of BERT's classes here; a family has its own for each
(`family.py`).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.config import ModelConfig
from bertjax.model import (
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertForTokenClassification,
  parameters,
)
from bertjax.model.heads import has_pooler
from bertjax.model.parameters import by_name

ENCODER = "BertModel"
PRETRAINING = "BertForPreTraining"
MASKED_LM = "BertForMaskedLM"
NEXT_SENTENCE = "BertForNextSentencePrediction"
CLASSIFICATION = "BertForSequenceClassification"
TOKEN_CLASSIFICATION = "BertForTokenClassification"
QUESTION_ANSWERING = "BertForQuestionAnswering"
MULTIPLE_CHOICE = "BertForMultipleChoice"


@dataclasses.dataclass(frozen=True)
class Architecture:
  """A class of transformers.

  Attributes:
    parts: keys at the top of its tree of parameters here.
    make: (shape, number of classes) → a model with these parts, and possibly
      with others.
    whole: the class of transformers that has all parts of that model.
  """

  parts: tuple[str, ...]
  make: Callable[[ModelConfig, int], nn.Module]
  whole: str


def _of_pretraining(*parts: str) -> Architecture:
  return Architecture(
    parts, lambda config, _: BertForPreTraining(config), PRETRAINING
  )


def _with_classes(
  model: Callable[..., nn.Module],
) -> Callable[[ModelConfig, int], nn.Module]:
  return lambda config, count: model(config, num_classes=count)


ARCHITECTURES: Mapping[str, Architecture] = {
  ENCODER: _of_pretraining(parameters.ENCODER, parameters.POOLER),
  PRETRAINING: _of_pretraining(
    parameters.ENCODER,
    parameters.POOLER,
    parameters.MLM_HEAD,
    parameters.PAIR_HEAD,
  ),
  MASKED_LM: _of_pretraining(parameters.ENCODER, parameters.MLM_HEAD),
  NEXT_SENTENCE: _of_pretraining(
    parameters.ENCODER, parameters.POOLER, parameters.PAIR_HEAD
  ),
  CLASSIFICATION: Architecture(
    (parameters.ENCODER, parameters.POOLER, parameters.CLASSIFIER),
    _with_classes(BertForSequenceClassification),
    CLASSIFICATION,
  ),
  TOKEN_CLASSIFICATION: Architecture(
    (parameters.ENCODER, parameters.CLASSIFIER),
    _with_classes(BertForTokenClassification),
    TOKEN_CLASSIFICATION,
  ),
  QUESTION_ANSWERING: Architecture(
    (parameters.ENCODER, parameters.SPAN_HEAD),
    lambda config, _: BertForQuestionAnswering(config),
    QUESTION_ANSWERING,
  ),
  # One score for each choice, whose row is classified alone.
  MULTIPLE_CHOICE: Architecture(
    (parameters.ENCODER, parameters.POOLER, parameters.CLASSIFIER),
    lambda config, _: BertForSequenceClassification(config, num_classes=1),
    MULTIPLE_CHOICE,
  ),
}


def parts_of(architecture: str, config: ModelConfig) -> tuple[str, ...]:
  """Return the parts of an architecture that a model of this shape has.

  Pre-training has a pooler as the shape says. Heads for tokens and spans have
  one that is ModernBERT's.
  """
  kind = ARCHITECTURES[architecture]
  if kind.whole != PRETRAINING:
    pooled = parameters.POOLER in kind.parts
    if pooled or not has_pooler(config, ""):
      return kind.parts
    return (*kind.parts, parameters.POOLER)
  if config.pooler:
    return kind.parts
  lacking = (parameters.POOLER, parameters.PAIR_HEAD)
  return tuple(part for part in kind.parts if part not in lacking)


def shapes(
  architecture: str, config: ModelConfig, num_classes: int
) -> dict[str, jax.ShapeDtypeStruct]:
  """Return {"encoder/…/kernel": shape} of the parts of an architecture.

  Args:
    architecture: key of ARCHITECTURES.
    config: shape of the encoder.
    num_classes: number of classes, if it has a classifier.
  """
  kind = ARCHITECTURES[architecture]
  variables = jax.eval_shape(
    lambda key: init(kind.make(config, num_classes), key),
    jax.eval_shape(lambda: jax.random.key(0)),
  )
  parts = parts_of(architecture, config)
  return by_name({part: variables[part] for part in parts})


def init(module: nn.Module, key: jax.Array) -> dict[str, Any]:
  """Initialize the parameters of a model that `Architecture.make` made."""
  inputs: tuple[Any, ...] = (
    empty_batch(ENCODER_FEATURES, {"B": 1, "S": 1, "R": 1}),
  )
  if isinstance(module, BertForPreTraining):
    inputs += (np.zeros((1, 1), np.int32),)  # its prediction slots
  variables = module.init(key, *inputs, deterministic=True)
  return nn.meta.unbox(variables["params"])
