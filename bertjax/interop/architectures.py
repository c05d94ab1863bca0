# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which parts each class of transformers has, and of which module of ours."""

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
)
from bertjax.model.parameters import by_name

ENCODER = "BertModel"
PRETRAINING = "BertForPreTraining"
CLASSIFICATION = "BertForSequenceClassification"
TOKEN_CLASSIFICATION = "BertForTokenClassification"
QUESTION_ANSWERING = "BertForQuestionAnswering"


@dataclasses.dataclass(frozen=True)
class Architecture:
  """A class of transformers.

  Attributes:
    parts: what our tree of parameters has at its top.
    make: (shape, number of classes) → the module of ours with these parts,
      and maybe others.
    whole: the class whose module `make` gives; what the weights of this one
      are a part of.
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
  ENCODER: _of_pretraining("encoder", "pooler"),
  PRETRAINING: _of_pretraining("encoder", "pooler", "mlm_head", "pair_head"),
  "BertForMaskedLM": _of_pretraining("encoder", "mlm_head"),
  "BertForNextSentencePrediction": _of_pretraining(
    "encoder", "pooler", "pair_head"
  ),
  CLASSIFICATION: Architecture(
    ("encoder", "pooler", "classifier"),
    _with_classes(BertForSequenceClassification),
    CLASSIFICATION,
  ),
  TOKEN_CLASSIFICATION: Architecture(
    ("encoder", "classifier"),
    _with_classes(BertForTokenClassification),
    TOKEN_CLASSIFICATION,
  ),
  QUESTION_ANSWERING: Architecture(
    ("encoder", "span_head"),
    lambda config, _: BertForQuestionAnswering(config),
    QUESTION_ANSWERING,
  ),
}


def shapes(
  architecture: str, config: ModelConfig, num_classes: int
) -> dict[str, jax.ShapeDtypeStruct]:
  """Return {"encoder/…/kernel": shape} of an architecture's parts.

  Args:
    architecture: a name of ARCHITECTURES.
    config: shape of the encoder.
    num_classes: of its classifier, where it has one.
  """
  kind = ARCHITECTURES[architecture]
  variables = jax.eval_shape(
    lambda key: init(kind.make(config, num_classes), key),
    jax.eval_shape(lambda: jax.random.key(0)),
  )
  return by_name({part: variables[part] for part in kind.parts})


def init(module: nn.Module, key: jax.Array) -> dict[str, Any]:
  """Return fresh parameters of a module that `Architecture.make` gives."""
  inputs: tuple[Any, ...] = (
    empty_batch(ENCODER_FEATURES, {"B": 1, "S": 1, "R": 1}),
  )
  if isinstance(module, BertForPreTraining):
    inputs += (np.zeros((1, 1), np.int32),)  # its prediction slots
  variables = module.init(key, *inputs, deterministic=True)
  return nn.meta.unbox(variables["params"])
