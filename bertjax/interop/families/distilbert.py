# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Names of DistilBERT in transformers (Sanh et al., 2019).

Its file has a table of positions also where they are sines and cosines.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from bertjax.config import ModelConfig
from bertjax.interop.architectures import (
  CLASSIFICATION,
  MULTIPLE_CHOICE,
  QUESTION_ANSWERING,
)
from bertjax.interop.family import Family, HeadRate, Tensors, classes
from bertjax.interop.table import Entry, dense, layers, norm, tables

_SINUSOIDAL = "sinusoidal_pos_embds"
_TABLE = "distilbert.embeddings.position_embeddings.weight"
_WORDS = "distilbert.embeddings.word_embeddings.weight"
# The difference between two programs' sines and cosines.
_ROUNDING = 1e-5
_SEQUENCES = tuple(dense("pooler/dense", "pre_classifier"))


def _read(mapping: Mapping[str, Any]) -> dict[str, Any]:
  sinusoidal = mapping.get(_SINUSOIDAL, False)
  return {"positions": "sinusoidal" if sinusoidal else "learned"}


def _write(config: ModelConfig, pad_id: int) -> dict[str, Any]:
  del pad_id
  return {_SINUSOIDAL: config.positions == "sinusoidal"}


def _constants(config: ModelConfig) -> Tensors:
  if config.positions != "sinusoidal":
    return {}
  # In float64 as transformers computes it, whose bits are then the same.
  columns_D = np.arange(config.hidden_size)
  wavelengths_D = np.power(10_000, 2 * (columns_D // 2) / config.hidden_size)
  angles_PD = np.arange(config.max_positions)[:, None] / wavelengths_D
  table_PD = np.where(columns_D % 2, np.cos(angles_PD), np.sin(angles_PD))
  return {_TABLE: table_PD.astype(np.float32)}


def _settle(config: ModelConfig, tensors: Tensors, name: str) -> ModelConfig:
  """Take a table that is not what config.json says for a learned one."""
  del name
  table_PD, usual = tensors.get(_TABLE), _constants(config)
  if table_PD is None or not usual:
    return config
  # As the file rounds them.
  usual_PD = usual[_TABLE].astype(table_PD.dtype).astype(np.float32)
  found_PD = table_PD.astype(np.float32)
  if found_PD.shape == usual_PD.shape and np.allclose(
    found_PD, usual_PD, rtol=0, atol=_ROUNDING
  ):
    return config
  return dataclasses.replace(config, positions="learned")


DISTILBERT = Family(
  title="DistilBERT",
  model_type="distilbert",
  classes=classes("DistilBert"),
  prefix="distilbert.",
  bare=("embeddings.", "transformer."),
  table=(
    *tables(
      "distilbert.embeddings",
      word="word_embeddings",
      position="position_embeddings",
    ),
    *norm("encoder/embeddings/layer_norm", "distilbert.embeddings.LayerNorm"),
    *layers(
      "distilbert.transformer.layer",
      attention__query="attention.q_lin",
      attention__key="attention.k_lin",
      attention__value="attention.v_lin",
      attention__out="attention.out_lin",
      attention_layer_norm="sa_layer_norm",
      mlp_up="ffn.lin1",
      mlp_down="ffn.lin2",
      mlp_layer_norm="output_layer_norm",
    ),
    *dense("mlm_head/dense", "vocab_transform"),
    *norm("mlm_head/layer_norm", "vocab_layer_norm"),
    Entry("mlm_head/bias", "vocab_projector.bias"),
    *dense("classifier/dense", "classifier"),
    *dense("span_head/dense", "qa_outputs"),
  ),
  heads={CLASSIFICATION: _SEQUENCES, MULTIPLE_CHOICE: _SEQUENCES},
  tied={"vocab_projector.weight": _WORDS},
  buffers=("distilbert.embeddings.position_ids",),
  # It has no types, and an ε that is not in its file.
  choices={
    "type_vocab_size": 0,
    "pooler": False,
    "sequence_head": "relu",
    "layer_norm_epsilon": 1e-12,
    "attention_output_dropout": "none",
  },
  varies={"positions": lambda value: value != "rotary"},
  sizes={
    "num_layers": "n_layers",
    "hidden_size": "dim",
    "num_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "vocab_size": "vocab_size",
    "max_positions": "max_position_embeddings",
  },
  rates={
    "hidden_dropout_rate": "dropout",
    "attention_dropout_rate": "attention_dropout",
    "initializer_std": "initializer_range",
  },
  activation="activation",
  fixed={"tie_weights_": True},
  head_rates={
    "seq_classif_dropout": HeadRate((CLASSIFICATION, MULTIPLE_CHOICE), 0.2),
    "qa_dropout": HeadRate((QUESTION_ANSWERING,), 0.1),
  },
  more=frozenset({_SINUSOIDAL}),
  read=_read,
  write=_write,
  settle=_settle,
  constants=_constants,
)
