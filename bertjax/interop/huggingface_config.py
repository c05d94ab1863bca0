# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""`config.json` ↔ the shape of an encoder, and which class it is."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bertjax.config import ModelConfig, checks, from_mapping, to_mapping
from bertjax.interop.architectures import ARCHITECTURES
from bertjax.interop.bert import (
  ACTIVATIONS,
  ACTIVATIONS_BACK,
  FIXED,
  RATES,
  READ,
  SIZES,
  WITHOUT_EFFECT,
  check_is_bert,
)
from bertjax.interop.outputs import NONE, Outputs
from bertjax.interop.outputs import to_mapping as outputs_to_mapping


def config_to_huggingface(
  config: ModelConfig,
  architecture: str,
  pad_id: int,
  outputs: Outputs = NONE,
) -> dict[str, Any]:
  """Return the content of `config.json`.

  Raises:
    ValueError: the encoder is not a BERT.
  """
  check_is_bert(config)
  values = to_mapping(config)
  return {
    "architectures": [architecture],
    "model_type": FIXED["model_type"],
    "hidden_act": ACTIVATIONS[config.activation],
    "pad_token_id": pad_id,
    "tie_word_embeddings": True,
    **{theirs: values[ours] for ours, theirs in (SIZES | RATES).items()},
    **outputs_to_mapping(outputs),
  }


def with_dropout(config: ModelConfig) -> ModelConfig:
  """Return a config with BERT's dropout, for fine-tuning by transformers."""
  usual = ModelConfig()
  return dataclasses.replace(
    config,
    hidden_dropout_rate=usual.hidden_dropout_rate,
    attention_dropout_rate=usual.attention_dropout_rate,
  )


def config_from_huggingface(mapping: Mapping[str, Any]) -> ModelConfig:
  """Read the shape of an encoder.

  Raises:
    ValueError: another kind of model, a field of which nothing is known, an
      unknown activation, or sizes that are missing or do not fit each other.
  """
  for name, ours in FIXED.items():
    # The oldest files lack all of these fields.
    theirs = mapping.get(name)
    if theirs is not None and theirs != ours:
      raise ValueError(f"{name}={theirs!r}; only {ours} can be read")
  _check_names(mapping)
  activation = mapping.get("hidden_act")
  if activation not in ACTIVATIONS_BACK:
    raise ValueError(
      f"hidden_act={activation!r}; give one of {sorted(ACTIVATIONS_BACK)}"
    )
  absent = sorted(set(SIZES.values()) - mapping.keys())
  if absent:
    raise ValueError(f"config.json lacks {', '.join(absent)}")
  values = {
    ours: mapping[theirs]
    for ours, theirs in (SIZES | RATES).items()
    if theirs in mapping
  }
  config = from_mapping(
    ModelConfig, {**values, "activation": ACTIVATIONS_BACK[activation]}
  )
  checks.check_model(config, seq_length=1, vocab_size=1)
  return config


def _check_names(mapping: Mapping[str, Any]) -> None:
  """Refuse a field that may change the model in a way that is not known here.

  A guess would show in nothing but worse scores.
  """
  known = {*SIZES.values(), *RATES.values(), *FIXED, *WITHOUT_EFFECT, *READ}
  unknown = sorted(mapping.keys() - known)
  if unknown:
    raise ValueError(
      f"nothing is known about {unknown[0]}={mapping[unknown[0]]!r}; remove "
      "the field if it changes no score"
    )


def architecture_from_huggingface(mapping: Mapping[str, Any]) -> str:
  """Return the class whose parts the weights have, or some of them.

  It is `BertForPreTraining` for an encoder with any of its heads, or with none:
  in published files, the class named in `architectures` often has other heads
  than the weights.

  Raises:
    ValueError: a class that cannot be read.
  """
  # The oldest files lack the field.
  named = mapping.get("architectures") or ["BertForPreTraining"]
  if len(named) != 1 or named[0] not in ARCHITECTURES:
    raise ValueError(
      f"architectures={named}; give one of {', '.join(ARCHITECTURES)}"
    )
  return ARCHITECTURES[named[0]].whole
