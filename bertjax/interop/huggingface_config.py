# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""`config.json` ↔ the shape of an encoder, and which class it is."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bertjax.config import ModelConfig, checks, from_mapping, to_mapping
from bertjax.interop.architectures import (
  ARCHITECTURES,
  CLASSIFICATION,
  MULTIPLE_CHOICE,
  PRETRAINING,
)
from bertjax.interop.config_fields import (
  ACTIVATIONS_BACK,
  FIXED,
  READ,
  WITHOUT_EFFECT,
)
from bertjax.interop.families.registry import family_in, family_of
from bertjax.interop.family import Family
from bertjax.interop.outputs import NONE, Outputs
from bertjax.interop.outputs import to_mapping as outputs_to_mapping

# How a sequence is pooled, where a family has the choice.
POOLINGS = ("cls", "mean")


def config_to_huggingface(
  config: ModelConfig,
  architecture: str,
  pad_id: int,
  outputs: Outputs = NONE,
) -> dict[str, Any]:
  """Return the content of `config.json`.

  Raises:
    ValueError: no family can express the encoder.
  """
  family = family_of(config)
  values = to_mapping(config)
  named = {**family.sizes, **family.rates}
  heads = {
    name: rate.written(config, architecture)
    for name, rate in family.head_rates.items()
  }
  return {
    "architectures": [family.class_of(architecture, config)],
    "model_type": family.model_type,
    family.activation: family.activations[config.activation],
    "pad_token_id": pad_id,
    "tie_word_embeddings": True,
    **{theirs: values[ours] for ours, theirs in named.items()},
    **{name: rate for name, rate in heads.items() if rate is not None},
    **family.write(config, pad_id),
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
  family = family_in(mapping)
  for name, ours in {**FIXED, **family.fixed}.items():
    # The oldest files lack all of these fields.
    theirs = mapping.get(name)
    if theirs is not None and theirs != ours:
      raise ValueError(f"{name}={theirs!r}; only {ours} can be read")
  _check_names(mapping, family)
  absent = sorted(set(family.sizes.values()) - mapping.keys())
  if absent:
    raise ValueError(f"config.json lacks {', '.join(absent)}")
  named = {**family.sizes, **family.rates}
  values = {
    ours: mapping[theirs] for ours, theirs in named.items() if theirs in mapping
  }
  config = from_mapping(
    ModelConfig,
    {
      **family.choices,
      **values,
      "activation": _activation(mapping, family),
      **family.read(mapping),
    },
  )
  checks.check_model(config, seq_length=1, vocab_size=1)
  return config


def lost_rates(
  mapping: Mapping[str, Any], config: ModelConfig, architecture: str
) -> dict[str, float]:
  """Return dropout rates of heads in a config.json that an export has not.

  Args:
    mapping: a config.json that was read.
    config: the shape that was read from it.
    architecture: key of ARCHITECTURES; that of pre-training has no such head
      yet, and all rates of a file are for later.
  """
  lost = {}
  for name, rate in family_in(mapping).head_rates.items():
    if architecture not in (PRETRAINING, *rate.architectures):
      continue
    found = rate.read(mapping.get(name), config)
    if found != rate.read(rate.written(config, architecture), config):
      lost[name] = found
  return lost


def _activation(mapping: Mapping[str, Any], family: Family) -> str:
  theirs = mapping.get(family.activation)
  known = [
    name
    for name, ours in ACTIVATIONS_BACK.items()
    if ours in family.activations
  ]
  if theirs not in known:
    raise ValueError(
      f"{family.activation}={theirs!r}; give one of {sorted(known)}"
    )
  return ACTIVATIONS_BACK[theirs]


def _check_names(mapping: Mapping[str, Any], family: Family) -> None:
  """Refuse a field that may change the model in a way that is not known here.

  A guess would show in nothing but worse scores.
  """
  unknown = sorted(mapping.keys() - known_fields(family))
  if unknown:
    raise ValueError(
      f"nothing is known about {unknown[0]}={mapping[unknown[0]]!r}; remove "
      "the field if it changes no score"
    )


def pooling_from_huggingface(
  mapping: Mapping[str, Any], architecture: str
) -> str:
  """Return how a class pools a sequence: "cls", "mean", or "" for not at all.

  Raises:
    ValueError: another pooling.
  """
  if architecture not in (CLASSIFICATION, MULTIPLE_CHOICE):
    return ""
  field = family_in(mapping).pooling
  found = mapping.get(field) or POOLINGS[0] if field else POOLINGS[0]
  if found not in POOLINGS:
    raise ValueError(f"{field}={found!r}; give one of {', '.join(POOLINGS)}")
  return found


def known_fields(family: Family) -> set[str]:
  """Return the fields of a family's config.json that are read, or ignored."""
  return {
    family.activation,
    *({family.pooling} - {""}),
    *family.sizes.values(),
    *family.rates.values(),
    *family.head_rates,
    *FIXED,
    *family.fixed,
    *WITHOUT_EFFECT,
    *family.without_effect,
    *READ,
    *family.more,
  }


def architecture_from_huggingface(mapping: Mapping[str, Any]) -> str:
  """Return the key of ARCHITECTURES whose parts the weights have, or some.

  It is that of pre-training for an encoder with any of its heads, or with none:
  in published files, the class named in `architectures` often has other heads
  than the weights.

  Raises:
    ValueError: a class that cannot be read.
  """
  family = family_in(mapping)
  found = family.architecture_of(class_in(mapping))
  if found is None:
    raise ValueError(
      f"architectures={mapping.get('architectures')}; give one of "
      f"{', '.join(dict.fromkeys(family.classes.values()))}"
    )
  return ARCHITECTURES[found].whole


def class_in(mapping: Mapping[str, Any]) -> str:
  """Return the class that a config.json names, "" if it names several."""
  # The oldest files lack the field.
  named = mapping.get("architectures") or [
    family_in(mapping).classes[PRETRAINING]
  ]
  return str(named[0]) if len(named) == 1 else ""
