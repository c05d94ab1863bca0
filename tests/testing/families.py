# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Encoders of transformers, small and random, and their parameters as ours.

A family is a table of names, read both for weights and for gradients. Each of
its rows says which rows of their matrix are ours, because some hold several.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers

from bertjax.checkpoints.digest import nest
from bertjax.config import ModelConfig
from bertjax.model.parameters import by_name
from tests.testing.choices import CONFIGS
from tests.testing.examples import PAD, init_params


class Name(NamedTuple):
  """A parameter of ours, and where it is in their state.

  Attributes:
    ours: its path.
    theirs: its name there; `{}` stands for the number of a layer, or group.
    part: which part of how many equal parts of their rows.
  """

  ours: str
  theirs: str
  part: tuple[int, int] = (0, 1)


@dataclasses.dataclass(frozen=True)
class Family:
  """An encoder of transformers.

  Attributes:
    config: a small one of ours, without dropout.
    make: config → their masked language model.
    encoder: the attribute of their model with the encoder.
    names: the names of all parameters that have a counterpart.
    with_types: whether it takes types.
  """

  config: ModelConfig
  make: Callable[[ModelConfig], Any]
  encoder: str
  names: tuple[Name, ...]
  with_types: bool = True


def _dense(ours: str, theirs: str, **part: Any) -> list[Name]:
  return [
    Name(f"{ours}/kernel", f"{theirs}.weight", **part),
    Name(f"{ours}/bias", f"{theirs}.bias", **part),
  ]


def _norm(ours: str, theirs: str) -> list[Name]:
  return [
    Name(f"{ours}/scale", f"{theirs}.weight"),
    Name(f"{ours}/bias", f"{theirs}.bias"),
  ]


def _embeddings(prefix: str, **tables: str) -> list[Name]:
  return [
    Name(f"encoder/embeddings/{ours}/embedding", f"{prefix}.{theirs}.weight")
    for ours, theirs in tables.items()
  ]


def _layers(prefix: str, **parts: str) -> list[Name]:
  """Dense layers by our names; those of norms end in `layer_norm`."""
  names = []
  for ours, theirs in parts.items():
    make = _norm if ours.endswith("layer_norm") else _dense
    path = ours.replace("attention__", "attention/")
    names += make(f"encoder/layers/{path}", f"{prefix}.{theirs}")
  return names


_IN = "roberta.encoder.layer.{}"
_ROBERTA = (
  *_embeddings(
    "roberta.embeddings",
    word="word_embeddings",
    position="position_embeddings",
    type="token_type_embeddings",
  ),
  *_norm("encoder/embeddings/layer_norm", "roberta.embeddings.LayerNorm"),
  *_layers(
    _IN,
    attention__query="attention.self.query",
    attention__key="attention.self.key",
    attention__value="attention.self.value",
    attention__out="attention.output.dense",
    attention_layer_norm="attention.output.LayerNorm",
    mlp_up="intermediate.dense",
    mlp_down="output.dense",
    mlp_layer_norm="output.LayerNorm",
  ),
  *_dense("mlm_head/dense", "lm_head.dense"),
  *_norm("mlm_head/layer_norm", "lm_head.layer_norm"),
  Name("mlm_head/bias", "lm_head.bias"),
)
_DISTILBERT = (
  *_embeddings(
    "distilbert.embeddings",
    word="word_embeddings",
    position="position_embeddings",
  ),
  *_norm("encoder/embeddings/layer_norm", "distilbert.embeddings.LayerNorm"),
  *_layers(
    "distilbert.transformer.layer.{}",
    attention__query="attention.q_lin",
    attention__key="attention.k_lin",
    attention__value="attention.v_lin",
    attention__out="attention.out_lin",
    attention_layer_norm="sa_layer_norm",
    mlp_up="ffn.lin1",
    mlp_down="ffn.lin2",
    mlp_layer_norm="output_layer_norm",
  ),
  *_dense("mlm_head/dense", "vocab_transform"),
  *_norm("mlm_head/layer_norm", "vocab_layer_norm"),
  Name("mlm_head/bias", "vocab_projector.bias"),
)
_ALBERT = (
  *_embeddings(
    "albert.embeddings",
    word="word_embeddings",
    position="position_embeddings",
    type="token_type_embeddings",
  ),
  *_norm("encoder/embeddings/layer_norm", "albert.embeddings.LayerNorm"),
  *_dense(
    "encoder/embeddings/projection",
    "albert.encoder.embedding_hidden_mapping_in",
  ),
  *_layers(
    "albert.encoder.albert_layer_groups.{}.albert_layers.0",
    attention__query="attention.query",
    attention__key="attention.key",
    attention__value="attention.value",
    attention__out="attention.dense",
    attention_layer_norm="attention.LayerNorm",
    mlp_up="ffn",
    mlp_down="ffn_output",
    mlp_layer_norm="full_layer_layer_norm",
  ),
  *_dense("mlm_head/dense", "predictions.dense"),
  *_norm("mlm_head/layer_norm", "predictions.LayerNorm"),
  Name("mlm_head/bias", "predictions.bias"),
)
_IN = "model.layers.{}"
_MODERNBERT = (
  *_embeddings("model.embeddings", word="tok_embeddings"),
  *_norm("encoder/embeddings/layer_norm", "model.embeddings.norm"),
  *_layers(
    _IN,
    attention__out="attn.Wo",
    attention_layer_norm="attn_norm",
    mlp_down="mlp.Wo",
    mlp_layer_norm="mlp_norm",
  ),
  *(
    name
    for number, part in enumerate(("query", "key", "value"))
    for name in _dense(
      f"encoder/layers/attention/{part}", f"{_IN}.attn.Wqkv", part=(number, 3)
    )
  ),
  *_dense("encoder/layers/mlp_gate", f"{_IN}.mlp.Wi", part=(0, 2)),
  *_dense("encoder/layers/mlp_up", f"{_IN}.mlp.Wi", part=(1, 2)),
  *_norm("encoder/final_layer_norm", "model.final_norm"),
  *_dense("mlm_head/dense", "head.dense"),
  *_norm("mlm_head/layer_norm", "head.norm"),
  Name("mlm_head/bias", "decoder.bias"),
)

_SHAPE = {
  "num_hidden_layers": "num_layers",
  "hidden_size": "hidden_size",
  "num_attention_heads": "num_heads",
  "intermediate_size": "intermediate_size",
  "vocab_size": "vocab_size",
}
_ACTIVATIONS = {"gelu_tanh": "gelu_new"}


def _shape(config: ModelConfig) -> dict[str, Any]:
  return {theirs: getattr(config, ours) for theirs, ours in _SHAPE.items()}


def _activation(config: ModelConfig) -> str:
  return _ACTIVATIONS.get(config.activation, config.activation)


def _roberta(config: ModelConfig) -> Any:
  return transformers.RobertaForMaskedLM(
    transformers.RobertaConfig(
      **_shape(config),
      hidden_act=_activation(config),
      max_position_embeddings=config.max_positions + config.position_offset,
      type_vocab_size=config.type_vocab_size,
      layer_norm_eps=config.layer_norm_epsilon,
      pad_token_id=PAD,
    )
  )


def _distilbert(config: ModelConfig) -> Any:
  return transformers.DistilBertForMaskedLM(
    transformers.DistilBertConfig(
      vocab_size=config.vocab_size,
      max_position_embeddings=config.max_positions,
      n_layers=config.num_layers,
      n_heads=config.num_heads,
      dim=config.hidden_size,
      hidden_dim=config.intermediate_size,
      activation=_activation(config),
      sinusoidal_pos_embds=config.positions == "sinusoidal",
      pad_token_id=PAD,
    )
  )


def _albert(config: ModelConfig) -> Any:
  return transformers.AlbertForMaskedLM(
    transformers.AlbertConfig(
      **_shape(config),
      embedding_size=config.embedding_size,
      num_hidden_groups=config.layer_groups,
      hidden_act=_activation(config),
      max_position_embeddings=config.max_positions,
      type_vocab_size=config.type_vocab_size,
      layer_norm_eps=config.layer_norm_epsilon,
      pad_token_id=PAD,
    )
  )


def _modernbert(config: ModelConfig) -> Any:
  windows = config.attention_pattern == "window"
  make: Any = transformers.ModernBertConfig  # some names are older than it
  return transformers.ModernBertForMaskedLM(
    make(
      **_shape(config),
      hidden_activation=_activation(config),
      max_position_embeddings=config.max_positions,
      norm_eps=config.layer_norm_epsilon,
      norm_bias=config.norm == "layer",
      attention_bias=config.use_bias,
      mlp_bias=config.use_bias,
      classifier_bias=config.use_bias,
      classifier_activation=_activation(config),
      local_attention=config.attention_window,
      global_attn_every_n_layers=config.global_every if windows else 1,
      global_rope_theta=config.rotary_base,
      local_rope_theta=config.rotary_local_base or config.rotary_base,
      pad_token_id=PAD,
      cls_token_id=2,
      sep_token_id=3,
      bos_token_id=2,
      eos_token_id=3,
      attn_implementation="eager",
    )
  )


FAMILIES: Mapping[str, Family] = {
  "roberta": Family(
    # transformers counts from the id of padding, which is 0 here.
    dataclasses.replace(CONFIGS["roberta"], position_offset=1),
    _roberta,
    "roberta",
    _ROBERTA,
    with_types=False,
  ),
  "distilbert": Family(
    CONFIGS["distilbert"],
    _distilbert,
    "distilbert",
    _DISTILBERT,
    with_types=False,
  ),
  "albert": Family(
    dataclasses.replace(CONFIGS["albert"], pooler=False),
    _albert,
    "albert",
    _ALBERT,
  ),
  "modernbert": Family(
    CONFIGS["modernbert"],
    _modernbert,
    "model",
    _MODERNBERT,
    with_types=False,
  ),
}


def make_theirs(family: Family, config: ModelConfig, seed: int = 0) -> Any:
  """Their model, with no zeros in its parameters."""
  torch.manual_seed(seed)
  model = family.make(config)
  with torch.no_grad():
    for name, parameter in model.named_parameters():
      if parameter.ndim == 1:
        parameter.add_(0.1 * torch.randn_like(parameter))
      elif "position" not in name or config.positions == "learned":
        # Wide enough for attention that is far from uniform.
        parameter.normal_(std=0.1)
  return model.eval()


def to_ours(
  family: Family,
  config: ModelConfig,
  state: Mapping[str, np.ndarray],
  missing: float,
) -> Any:
  """Return their parameters, or the gradients of these, as our tree.

  Args:
    family: the table of names.
    config: shape of the encoder.
    state: arrays by their names.
    missing: what stands for a parameter of a layer that they do not have.
  """
  shapes = by_name(init_params(config))
  names = {name.ours: name for name in family.names}
  absent = shapes.keys() - names.keys()
  assert not absent, absent
  return nest(
    {
      ours: _to_ours(names[ours], state, leaf.shape, missing)
      for ours, leaf in shapes.items()
    }
  )


def _to_ours(
  name: Name,
  state: Mapping[str, np.ndarray],
  shape: tuple[int, ...],
  missing: float,
) -> np.ndarray:
  if "{}" not in name.theirs:
    return _piece(name, state[name.theirs], shape)
  layers = []
  for number in range(shape[0]):
    array = state.get(name.theirs.format(number))
    if array is None:
      layers.append(np.full(shape[1:], missing, np.float32))
    else:
      layers.append(_piece(name, array, shape[1:]))
  return np.stack(layers)


def _piece(name: Name, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  number, count = name.part
  part = np.split(array, count)[number]
  return (part.T if name.ours.endswith("kernel") else part).reshape(shape)
