# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Names of RoBERTa in transformers (Liu et al., 2019), XLM-R and CamemBERT.

Its positions begin behind the id of padding, as in fairseq.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from bertjax.config import ModelConfig
from bertjax.interop import config_fields
from bertjax.interop.architectures import CLASSIFICATION, TOKEN_CLASSIFICATION
from bertjax.interop.family import Family, HeadRate, Params, classes
from bertjax.interop.table import Entry, dense, encoder_of_bert, norm

# What config.json means by none.
_PAD_ID = 1
_POSITIONS = "max_position_embeddings"


def _read(mapping: Mapping[str, Any]) -> dict[str, Any]:
  pad_id, rows = mapping.get("pad_token_id"), mapping.get(_POSITIONS)
  pad_id = _PAD_ID if pad_id is None else pad_id
  if type(pad_id) is not int or pad_id < 0:
    raise ValueError(f"pad_token_id={pad_id!r}; give the id of padding")
  offset = pad_id + 1
  if type(rows) is not int or rows <= offset:
    raise ValueError(
      f"{_POSITIONS}={rows!r} with pad_token_id={pad_id}; give more than "
      f"{offset}, because positions begin behind the id of padding"
    )
  return {"max_positions": rows - offset, "position_offset": offset}


def _write(config: ModelConfig, pad_id: int) -> dict[str, Any]:
  del pad_id  # `_adapt` has made the offset follow it
  rows = config.max_positions + config.position_offset
  return {_POSITIONS: rows, "bos_token_id": None, "eos_token_id": None}


def _adapt(
  params: Params, config: ModelConfig, pad_id: int
) -> tuple[Params, ModelConfig]:
  """Move the table of positions to where transformers looks them up."""
  offset = pad_id + 1
  if offset == config.position_offset:
    return params, config
  table_PD = np.asarray(
    params["encoder"]["embeddings"]["position"]["embedding"]
  )[config.position_offset :]
  # Nothing reads the rows before.
  moved_PD = np.pad(table_PD, ((offset, 0), (0, 0)))
  moved = jax.tree.map(lambda leaf: leaf, dict(params))  # other dicts
  moved["encoder"]["embeddings"]["position"]["embedding"] = moved_PD
  return moved, dataclasses.replace(config, position_offset=offset)


ROBERTA = Family(
  title="RoBERTa",
  model_type="roberta",
  classes=classes("Roberta"),
  prefix="roberta.",
  bare=("embeddings.", "encoder.", "pooler."),
  table=(
    *encoder_of_bert("roberta"),
    *dense("mlm_head/dense", "lm_head.dense"),
    *norm("mlm_head/layer_norm", "lm_head.layer_norm"),
    Entry("mlm_head/bias", "lm_head.bias"),
    *dense("classifier/dense", "classifier"),
    *dense("span_head/dense", "qa_outputs"),
  ),
  heads={
    CLASSIFICATION: (
      *dense("pooler/dense", "classifier.dense"),
      *dense("classifier/dense", "classifier.out_proj"),
    )
  },
  tied={
    "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
    "lm_head.decoder.bias": "lm_head.bias",
  },
  buffers=("roberta.embeddings.position_ids",),
  has_pooler=True,
  choices={"pooler": False},
  varies={
    "max_positions": lambda _: True,
    "position_offset": lambda value: value > 0,
    "type_vocab_size": lambda value: value > 0,
  },
  sizes={
    ours: theirs
    for ours, theirs in config_fields.SIZES.items()
    if ours != "max_positions"
  },
  head_rates={
    "classifier_dropout": HeadRate((CLASSIFICATION, TOKEN_CLASSIFICATION))
  },
  # Its head has the exact GELU, whatever its layers have.
  activations={"gelu": "gelu"},
  more=frozenset({_POSITIONS, "pad_token_id"}),
  read=_read,
  write=_write,
  adapt=_adapt,
)
# The same encoder under other names, with tokenizers by SentencePiece. What is
# written from it is RoBERTa's, which transformers computes alike.
XLM_ROBERTA, CAMEMBERT = (
  dataclasses.replace(
    ROBERTA, title=title, model_type=model_type, classes=classes(start)
  )
  for title, model_type, start in (
    ("XLM-RoBERTa", "xlm-roberta", "XLMRoberta"),
    ("CamemBERT", "camembert", "Camembert"),
  )
)
