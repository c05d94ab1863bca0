# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Encoders of transformers, small and random, and their parameters as ours.

Their configurations are written out here, and not by what is tested.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import transformers

from bertjax.checkpoints.digest import nest
from bertjax.config import ModelConfig
from bertjax.interop.architectures import MASKED_LM
from bertjax.interop.families.registry import FAMILIES as INTEROP
from bertjax.interop.families.registry import family_of
from bertjax.interop.huggingface import from_huggingface
from bertjax.model.parameters import by_name
from tests.testing.choices import CONFIGS
from tests.testing.examples import PAD


@dataclasses.dataclass(frozen=True)
class Family:
  """An encoder of transformers.

  Attributes:
    config: a small one of ours, without dropout.
    make: config → their config.
    encoder: the attribute of their model with the encoder.
    with_types: whether it takes types.
  """

  config: ModelConfig
  make: Callable[[ModelConfig], Any]
  encoder: str
  with_types: bool = True


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


def _bert(config: ModelConfig) -> Any:
  return transformers.BertConfig(
    **_shape(config),
    hidden_act=_activation(config),
    max_position_embeddings=config.max_positions,
    type_vocab_size=config.type_vocab_size,
    layer_norm_eps=config.layer_norm_epsilon,
    pad_token_id=PAD,
  )


def _roberta(config: ModelConfig) -> Any:
  return transformers.RobertaConfig(
    **_shape(config),
    hidden_act=_activation(config),
    max_position_embeddings=config.max_positions + config.position_offset,
    type_vocab_size=config.type_vocab_size,
    layer_norm_eps=config.layer_norm_epsilon,
    pad_token_id=PAD,
  )


def _distilbert(config: ModelConfig) -> Any:
  return transformers.DistilBertConfig(
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


def _albert(config: ModelConfig) -> Any:
  return transformers.AlbertConfig(
    **_shape(config),
    embedding_size=config.embedding_size,
    num_hidden_groups=config.layer_groups,
    hidden_act=_activation(config),
    max_position_embeddings=config.max_positions,
    type_vocab_size=config.type_vocab_size,
    layer_norm_eps=config.layer_norm_epsilon,
    pad_token_id=PAD,
  )


def _modernbert(config: ModelConfig) -> Any:
  windows = config.attention_pattern == "window"
  make: Any = transformers.ModernBertConfig  # some names are older than it
  return make(
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
    local_rope_theta=config.local_base,
    pad_token_id=PAD,
    cls_token_id=2,
    sep_token_id=3,
    bos_token_id=2,
    eos_token_id=3,
    attn_implementation="eager",
  )


# Apart, since the tests of BERT itself compare what it is with transformers.
BERT = Family(CONFIGS["bert"], _bert, "bert")
FAMILIES: Mapping[str, Family] = {
  "roberta": Family(
    # transformers counts from the id of padding, which is 0 here.
    dataclasses.replace(CONFIGS["roberta"], position_offset=1),
    _roberta,
    "roberta",
    with_types=False,
  ),
  "distilbert": Family(
    CONFIGS["distilbert"],
    _distilbert,
    "distilbert",
    with_types=False,
  ),
  "albert": Family(
    dataclasses.replace(CONFIGS["albert"], pooler=False),
    _albert,
    "albert",
  ),
  "modernbert": Family(
    CONFIGS["modernbert"],
    _modernbert,
    "model",
    with_types=False,
  ),
}


def make_theirs(
  family: Family,
  config: ModelConfig,
  seed: int = 0,
  architecture: str = MASKED_LM,
  **settings: Any,
) -> Any:
  """Their model, with no zeros in its parameters.

  Args:
    family: the family.
    config: shape of the encoder.
    seed: seed of the parameters.
    architecture: key of ARCHITECTURES.
    settings: more fields of their config.
  """
  theirs = family.make(config)
  for name, value in settings.items():
    setattr(theirs, name, value)
  torch.manual_seed(seed)
  classes = INTEROP[theirs.model_type].classes
  model = getattr(transformers, classes[architecture])(theirs)
  with torch.no_grad():
    for name, parameter in model.named_parameters():
      if parameter.ndim == 1:
        parameter.add_(0.1 * torch.randn_like(parameter))
      elif "position" not in name or config.positions == "learned":
        # Wide enough for attention that is far from uniform.
        parameter.normal_(std=0.1)
  return model.eval()


def to_ours(
  config: ModelConfig, state: Mapping[str, np.ndarray], missing: float
) -> Any:
  """Return their parameters, or the gradients of these, as our tree.

  Args:
    config: shape of the encoder.
    state: arrays by their names.
    missing: what stands for a parameter of a layer that they do not have.
  """
  leaves = by_name(from_huggingface(state, config))
  for entry in family_of(config).table:
    if entry.ours in leaves:
      leaves[entry.ours][[*entry.lacking]] = missing
  return nest(leaves)
