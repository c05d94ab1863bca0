# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Names of ModernBERT in transformers (Warner et al., 2024).

Ettin and mmBERT have the same. One matrix makes queries, keys and values, and
one both halves of a feed-forward. The first layer has no norm before attention.
"""

from collections.abc import Mapping
from typing import Any

from bertjax.config import ModelConfig
from bertjax.config.model import has_windows
from bertjax.interop.architectures import (
  CLASSIFICATION,
  MULTIPLE_CHOICE,
  QUESTION_ANSWERING,
  TOKEN_CLASSIFICATION,
)
from bertjax.interop.config_fields import ACTIVATIONS_BACK, SIZES
from bertjax.interop.family import Family, HeadRate, classes
from bertjax.interop.table import Entry, dense, layers, norm, tables

_HEADS = (
  *(CLASSIFICATION, TOKEN_CLASSIFICATION),
  *(QUESTION_ANSWERING, MULTIPLE_CHOICE),
)
_IN, _OURS = "model.layers.L", "encoder/layers"
# Kinds of layers in `layer_types` and in `rope_parameters`.
_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
_EVERY = "global_attn_every_n_layers"
# What transformers takes for what a file leaves out.
_USUAL_EVERY = 3
_BASES = {_GLOBAL: 160_000.0, _LOCAL: 10_000.0}
_OLD_BASES = {_GLOBAL: "global_rope_theta", _LOCAL: "local_rope_theta"}
# Fields with one value for all of them, because one of ours says it.
_SAME = (
  ("attention_bias", "mlp_bias", "classifier_bias"),
  ("embedding_dropout", "mlp_dropout"),
)

# Fields of ours about windows and rotations.
_ATTENTION = (
  *("rotary_base", "rotary_local_base", "attention_pattern"),
  *("attention_window", "global_every"),
)


def _read(mapping: Mapping[str, Any]) -> dict[str, Any]:
  for names in _SAME:
    given = {name: mapping.get(name, False) for name in names}
    if len(set(given.values())) > 1:
      raise ValueError(
        f"{', '.join(f'{n}={v!r}' for n, v in given.items())}; bertjax has one "
        "field for all of these: make them equal"
      )
  inner = mapping.get("hidden_activation")
  head = mapping.get("classifier_activation", inner)
  if ACTIVATIONS_BACK.get(str(head)) != ACTIVATIONS_BACK.get(str(inner)):
    raise ValueError(
      f"classifier_activation={head!r} and hidden_activation={inner!r}; heads "
      "have the activation of the layers: make them equal"
    )
  return {
    "use_bias": mapping.get("attention_bias", False),
    "norm": "layer" if mapping.get("norm_bias") else "layer_without_bias",
    "hidden_dropout_rate": mapping.get("mlp_dropout", 0.0),
    **_attention(mapping),
  }


def _attention(mapping: Mapping[str, Any]) -> dict[str, Any]:
  """Return the fields about windows and rotations."""
  every = _read_every(mapping)
  bases = {kind: _read_base(mapping, kind) for kind in _BASES}
  fields: dict[str, Any] = {"rotary_base": bases[_GLOBAL]}
  if every == 1:
    return fields
  local = bases[_LOCAL]
  return {
    **fields,
    # 0 takes the other base.
    "rotary_local_base": 0.0 if local == bases[_GLOBAL] else local,
    "attention_pattern": "window",
    "attention_window": mapping.get("local_attention", 128),
    "global_every": every,
  }


def _read_every(mapping: Mapping[str, Any]) -> int:
  """Return k, where every k-th layer is global, from the first one."""
  kinds, count = mapping.get("layer_types"), mapping.get("num_hidden_layers")
  every = mapping.get(_EVERY, _USUAL_EVERY)
  if type(every) is not int or every < 1:
    raise ValueError(f"{_EVERY}={every!r}; give a number of layers from 1")
  if not kinds or type(count) is not int:
    return every
  # The pattern says the same of any k beyond the last layer.
  found = [layer for layer in range(1, len(kinds)) if kinds[layer] == _GLOBAL]
  if found or every < len(kinds):
    every = found[0] if found else len(kinds)
  if len(kinds) == 1:
    every = 1
  if kinds != _kinds(every, count):
    raise ValueError(
      f"layer_types={kinds!r}; only patterns of {count} layers with "
      f"{_GLOBAL!r} in the first and every k-th one, and {_LOCAL!r} in all "
      "others, can be read"
    )
  return every


def _kinds(every: int, count: int) -> list[str]:
  return [_LOCAL if layer % every else _GLOBAL for layer in range(count)]


def _read_base(mapping: Mapping[str, Any], kind: str) -> float:
  rotation = dict((mapping.get("rope_parameters") or {}).get(kind) or {})
  way = rotation.pop("rope_type", "default")
  base = rotation.pop("rope_theta", None)
  if way != "default" or rotation:
    raise ValueError(
      f"rope_parameters[{kind!r}]={mapping['rope_parameters'][kind]!r}; only "
      "rope_type 'default' with a rope_theta can be read"
    )
  if base is None:
    base = mapping.get(_OLD_BASES[kind])
  return float(_BASES[kind] if base is None else base)


def _write(config: ModelConfig, pad_id: int) -> dict[str, Any]:
  del pad_id
  every = config.global_every if has_windows(config) else 1
  bases = {
    _GLOBAL: config.rotary_base,
    _LOCAL: config.local_base,
  }
  rate = config.hidden_dropout_rate
  return {
    **dict.fromkeys(_SAME[0], config.use_bias),
    **dict.fromkeys(_SAME[1], rate),
    "decoder_bias": True,
    "norm_bias": config.norm == "layer",
    "classifier_activation": _ACTIVATIONS[config.activation],
    "local_attention": config.attention_window,
    "layer_types": _kinds(every, config.num_layers),
    "rope_parameters": {
      kind: {"rope_type": "default", "rope_theta": base}
      for kind, base in bases.items()
    },
    # As transformers before 5 reads them.
    _EVERY: every,
    **{_OLD_BASES[kind]: base for kind, base in bases.items()},
    **dict.fromkeys(("bos_token_id", "eos_token_id"), None),
    **dict.fromkeys(("cls_token_id", "sep_token_id"), None),
  }


_ACTIVATIONS = {
  "gelu": "gelu",
  "gelu_tanh": "gelu_pytorch_tanh",
  "silu": "silu",
  "relu": "relu",
}

MODERNBERT = Family(
  title="ModernBERT",
  model_type="modernbert",
  classes=classes("ModernBert"),
  prefix="model.",
  bare=("embeddings.", "layers.", "final_norm."),
  table=(
    *tables("model.embeddings", word="tok_embeddings"),
    *norm("encoder/embeddings/layer_norm", "model.embeddings.norm"),
    *(
      entry
      for number, part in enumerate(("query", "key", "value"))
      for entry in dense(
        f"{_OURS}/attention/{part}", f"{_IN}.attn.Wqkv", part=(number, 3)
      )
    ),
    *dense(f"{_OURS}/mlp_gate", f"{_IN}.mlp.Wi", part=(0, 2)),
    *dense(f"{_OURS}/mlp_up", f"{_IN}.mlp.Wi", part=(1, 2)),
    *layers(
      "model.layers",
      attention__out="attn.Wo",
      mlp_down="mlp.Wo",
      mlp_layer_norm="mlp_norm",
    ),
    *norm(f"{_OURS}/attention_layer_norm", f"{_IN}.attn_norm", lacking=(0,)),
    *norm("encoder/final_layer_norm", "model.final_norm"),
    *dense("mlm_head/dense", "head.dense"),
    *norm("mlm_head/layer_norm", "head.norm"),
    Entry("mlm_head/bias", "decoder.bias"),
    *dense("classifier/dense", "classifier"),
    *dense("span_head/dense", "classifier"),
  ),
  # What follows the encoder has the same name for any head.
  heads=dict.fromkeys(
    _HEADS,
    (
      *dense("pooler/dense", "head.dense"),
      *norm("pooler/layer_norm", "head.norm"),
    ),
  ),
  tied={"decoder.weight": "model.embeddings.tok_embeddings.weight"},
  choices={
    "positions": "rotary",
    "type_vocab_size": 0,
    "pooler": False,
    "sequence_head": "norm",
    "init": "scaled",
    "feed_forward": "gated",
    "norm_position": "pre",
    "first_attention_norm": False,
    "layer_norm_epsilon": 1e-5,
    "attention_output_dropout": "attention",
    "mlp_dropout_place": "inner",
    "hidden_dropout_rate": 0.0,
    "attention_dropout_rate": 0.0,
  },
  varies={
    "use_bias": lambda _: True,
    "norm": lambda value: value != "rms",
    "hidden_dropout_rate": lambda _: True,
    **dict.fromkeys(_ATTENTION, lambda _: True),
  },
  sizes={
    name: theirs for name, theirs in SIZES.items() if name != "type_vocab_size"
  },
  rates={
    "attention_dropout_rate": "attention_dropout",
    "layer_norm_epsilon": "norm_eps",
    "initializer_std": "initializer_range",
  },
  head_rates={"classifier_dropout": HeadRate(_HEADS, 0.0)},
  activation="hidden_activation",
  activations=_ACTIVATIONS,
  pooling="classifier_pooling",
  fixed={"decoder_bias": True},
  without_effect=frozenset(
    {
      *("cls_token_id", "deterministic_flash_attn"),
      *("initializer_cutoff_factor", "layer_norm_eps", "reference_compile"),
      *("repad_logits_with_grad", "sparse_pred_ignore_index"),
      "sparse_prediction",
    }
  ),
  more=frozenset(
    {
      *(name for names in _SAME for name in names),
      *("classifier_activation", "norm_bias", "local_attention"),
      *("layer_types", "rope_parameters", _EVERY, *_OLD_BASES.values()),
    }
  ),
  read=_read,
  write=_write,
)
