# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Families: records of an encoder's choices and sizes, and of its objective.

A family is fields of `ModelConfig`, and what it leaves out is as in BERT. The
vocabulary follows the store. Its recipes are a file in configs/recipes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from bertjax.config import SIZES, ModelConfig
from configs import common


@dataclasses.dataclass(frozen=True)
class Family:
  """A family of encoders.

  Attributes:
    choices: fields of `ModelConfig`, but for the sizes.
    sizes: {name of a size: its fields of `ModelConfig`}.
    varies: choices in which its models differ from each other → whether a value
      is one of theirs.
    objective: fields of `ObjectiveConfig` in which its pre-training differs
      from BERT's, by dotted names; none if it has BERT's or another family's.
    tokenizer: the kind of tokenizer that `--tokenizer` learns for it.
    vocab_size: tokens of the published vocabulary.
  """

  choices: Mapping[str, Any]
  sizes: Mapping[str, Mapping[str, Any]]
  varies: Mapping[str, Callable[[Any], bool]] = dataclasses.field(
    default_factory=dict
  )
  objective: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  tokenizer: str = "wordpiece"
  vocab_size: int = 30_522


# What sizes differ in.
_SHAPE = ("num_layers", "hidden_size", "num_heads", "intermediate_size")


def _size(*numbers: int) -> Mapping[str, int]:
  return dict(zip(_SHAPE, numbers, strict=True))


_BERT = {
  name: {field: getattr(size, field) for field in _SHAPE}
  for name, size in SIZES.items()
}

# mmBERT's layers with a window have the base of the others, which 0 says
# (Marone et al., 2025; config.json of jhu-clsp/mmBERT-small).
_MMBERT = {"rotary_local_base": 0.0}
# Ettin's 150m and 400m are of these shapes as well.
_MODERNBERT = {
  "base": _size(22, 768, 12, 1152),
  "large": _size(28, 1024, 16, 2624),
}

# What models of one family may differ in: sizes, rates, how training starts,
# and what stands on the encoder.
_OPEN = (
  *_SHAPE,
  *("vocab_size", "max_positions", "layer_norm_epsilon"),
  *("hidden_dropout_rate", "attention_dropout_rate"),
  *("attention_output_dropout", "mlp_dropout_place"),
  *("init", "initializer_std", "position_init"),
  *("pooler", "sequence_head"),
)

# The size of a family that a run has where none is named.
DEFAULT_SIZE = "base"

FAMILIES: Mapping[str, Family] = {
  "bert": Family({}, _BERT),
  # Liu et al. (2019); fairseq, examples/roberta. Its tables keep the first two
  # rows of positions for padding.
  "roberta": Family(
    {
      "max_positions": 512,
      "position_offset": 2,
      "type_vocab_size": 1,
      "pooler": False,
      "layer_norm_epsilon": 1e-5,
    },
    {name: _BERT[name] for name in ("base", "large")},
    # Liu et al. (2019), sections 4.1 and 4.2.
    objective={
      "objective.next_sentence": "off",
      "objective.input_format": "full_sentences",
      "objective.short_rate": 0.0,
    },
    tokenizer="roberta",
    vocab_size=50_265,
  ),
  # Sanh et al. (2019); transformers, research project "distillation",
  # training_configs/distilbert-base-uncased.json.
  "distilbert": Family(
    {
      "max_positions": 512,
      "positions": "sinusoidal",
      "type_vocab_size": 0,
      "pooler": False,
      "sequence_head": "relu",
      "attention_output_dropout": "none",
    },
    {"base": _size(6, 768, 12, 3072)},
    # transformers' default is a learned table.
    varies={"positions": lambda value: value != "rotary"},
  ),
  # Lan et al. (2020); google-research/albert, modeling.py and version 2 of its
  # weights, which was trained without dropout.
  "albert": Family(
    {
      "max_positions": 512,
      "embedding_size": 128,
      "layer_groups": 1,
      "activation": "gelu_tanh",
      "hidden_dropout_rate": 0.0,
      "attention_dropout_rate": 0.0,
    },
    {
      "base": _size(12, 768, 12, 3072),
      "large": _size(24, 1024, 16, 4096),
      "xlarge": _size(24, 2048, 16, 8192),
      "xxlarge": _size(12, 4096, 64, 16384),
    },
    # Lan et al. (2020), section 3.1, and google-research/albert.
    objective={
      "objective.next_sentence": "sop",
      "objective.mask_unit": "ngram",
    },
    tokenizer="albert",
    vocab_size=30_000,
  ),
  # Warner et al. (2024), with the sizes of Ettin (Weller et al., 2025) in
  # millions of parameters, and of mmBERT, whose vocabulary has 256,000 tokens;
  # transformers, configuration_modernbert.py.
  "modernbert": Family(
    {
      "max_positions": 8192,
      "positions": "rotary",
      "rotary_base": 160_000.0,
      "rotary_local_base": 10_000.0,
      "attention_pattern": "window",
      "attention_window": 128,
      "global_every": 3,
      "type_vocab_size": 0,
      "pooler": False,
      "sequence_head": "norm",
      "init": "scaled",
      "feed_forward": "gated",
      "use_bias": False,
      "norm": "layer_without_bias",
      "norm_position": "pre",
      "first_attention_norm": False,
      "layer_norm_epsilon": 1e-5,
      "attention_output_dropout": "attention",
      "mlp_dropout_place": "inner",
      "hidden_dropout_rate": 0.0,
      "attention_dropout_rate": 0.0,
    },
    {
      "17m": _size(7, 256, 4, 384),
      "32m": _size(10, 384, 6, 576),
      "68m": _size(19, 512, 8, 768),
      "150m": _MODERNBERT["base"],
      "400m": _MODERNBERT["large"],
      "1b": _size(28, 1792, 28, 3840),
      "mmbert_small": {**_size(22, 384, 6, 1152), **_MMBERT},
      "mmbert_base": {**_MODERNBERT["base"], **_MMBERT},
      **_MODERNBERT,
    },
    # The first phase of training has a base of 10,000 in all layers.
    varies=dict.fromkeys(("rotary_base", "rotary_local_base"), lambda _: True),
    objective={
      "objective.next_sentence": "off",
      "objective.input_format": "doc_sentences",
      "objective.short_rate": 0.0,
      "objective.mask_rate": 0.3,
    },
    tokenizer="modernbert",
    vocab_size=50_368,
  ),
}


def overlay(family: Family, size: str = "") -> common.Overlay:
  """Return what makes a run of this family.

  Args:
    family: whose choices the run makes.
    size: name of a size that the run has as well, whose overlay sets what it
      chooses otherwise; "" if no overlay does.
  """
  others = family.sizes[size] if size else {}
  return common.fields(
    {
      f"model.{name}": value
      for name, value in family.choices.items()
      if name not in others
    }
  )


def size_overlays(family: Family) -> Mapping[str, common.Overlay]:
  """Return what makes each size of a family, by its name."""
  return {
    name: common.fields(
      {f"model.{field}": value for field, value in size.items()}
    )
    for name, size in family.sizes.items()
  }


def family_of(model: ModelConfig) -> str:
  """Return the name of the family whose choices a model makes; "" if none."""
  usual = ModelConfig()
  for name, family in FAMILIES.items():
    wanted = dataclasses.replace(usual, **family.choices)
    if all(
      _is_of(family, model, wanted, field.name)
      for field in dataclasses.fields(model)
      if field.name not in _OPEN
    ):
      return name
  return ""


def _is_of(
  family: Family, model: ModelConfig, wanted: ModelConfig, field: str
) -> bool:
  if field in family.varies:
    return family.varies[field](getattr(model, field))
  return _choice(model, field) == _choice(wanted, field)


def _choice(model: ModelConfig, field: str) -> Any:
  # The two forms of GELU differ by less than 1e-3.
  value = getattr(model, field)
  return "gelu" if value == "gelu_tanh" else value
