# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Names of ALBERT in transformers (Lan et al., 2020)."""

import dataclasses
from typing import Any

from bertjax.config import ModelConfig
from bertjax.interop import config_fields
from bertjax.interop.architectures import (
  CLASSIFICATION,
  MASKED_LM,
  MULTIPLE_CHOICE,
  TOKEN_CLASSIFICATION,
)
from bertjax.interop.family import Family, HeadRate, Tensors, classes
from bertjax.interop.table import Entry, dense, norm, tables
from bertjax.interop.table import layers as layers_of

_CLASSES = classes("Albert", "ForPreTraining")
# The groups have one layer each, which is run again and again.
_LAYERS = {
  "attention__query": "attention.query",
  "attention__key": "attention.key",
  "attention__value": "attention.value",
  "attention__out": "attention.dense",
  "attention_layer_norm": "attention.LayerNorm",
  "mlp_up": "ffn",
  "mlp_down": "ffn_output",
  "mlp_layer_norm": "full_layer_layer_norm",
}


def _write(config: ModelConfig, pad_id: int) -> dict[str, Any]:
  del config, pad_id
  return {"inner_group_num": 1, "bos_token_id": None, "eos_token_id": None}


def _settle(config: ModelConfig, tensors: Tensors, name: str) -> ModelConfig:
  """Take a masked language model without a pooler as it is."""
  has_pooler = "albert.pooler.weight" in tensors
  if name == _CLASSES[MASKED_LM] and not has_pooler:
    return dataclasses.replace(config, pooler=False)
  return config


ALBERT = Family(
  title="ALBERT",
  model_type="albert",
  classes=_CLASSES,
  prefix="albert.",
  bare=("embeddings.", "encoder.", "pooler."),
  table=(
    *tables(
      "albert.embeddings",
      word="word_embeddings",
      position="position_embeddings",
      type="token_type_embeddings",
    ),
    *norm("encoder/embeddings/layer_norm", "albert.embeddings.LayerNorm"),
    *dense(
      "encoder/embeddings/projection",
      "albert.encoder.embedding_hidden_mapping_in",
    ),
    *layers_of(
      "albert.encoder.albert_layer_groups",
      **{ours: f"albert_layers.0.{name}" for ours, name in _LAYERS.items()},
    ),
    *dense("pooler/dense", "albert.pooler"),
    *dense("mlm_head/dense", "predictions.dense"),
    *norm("mlm_head/layer_norm", "predictions.LayerNorm"),
    Entry("mlm_head/bias", "predictions.bias"),
    *dense("pair_head/dense", "sop_classifier.classifier"),
    *dense("classifier/dense", "classifier"),
    *dense("span_head/dense", "qa_outputs"),
  ),
  tied={
    "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
    "predictions.decoder.bias": "predictions.bias",
  },
  buffers=("albert.embeddings.position_ids",),
  has_pooler=True,
  choices={
    "activation": "gelu_tanh",
    # Its authors drop the output. transformers has that module as well, and
    # never calls it.
    "mlp_dropout_place": "none",
    "hidden_dropout_rate": 0.0,
    "attention_dropout_rate": 0.0,
  },
  varies={
    "embedding_size": lambda value: value > 0,
    "layer_groups": lambda value: value > 0,
    "type_vocab_size": lambda value: value > 0,
    "pooler": lambda _: True,  # without one it is the masked language model
  },
  sizes={
    **config_fields.SIZES,
    "embedding_size": "embedding_size",
    "layer_groups": "num_hidden_groups",
  },
  head_rates={
    "classifier_dropout_prob": HeadRate(
      (CLASSIFICATION, TOKEN_CLASSIFICATION, MULTIPLE_CHOICE), 0.1
    )
  },
  fixed={"inner_group_num": 1},
  without_effect=frozenset(
    {
      # Of Google's files, read by no program of transformers.
      *("down_scale_factor", "gap_size", "layers_to_keep"),
      *("net_structure_type", "num_memory_blocks"),
    }
  ),
  write=_write,
  settle=_settle,
)
