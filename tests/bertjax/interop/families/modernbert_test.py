# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""ModernBERT's config.json: patterns of layers, bases of rotation, rates."""

import dataclasses

import pytest

from bertjax.interop.huggingface_config import (
  config_from_huggingface,
  config_to_huggingface,
)
from tests.testing.choices import CONFIGS

CONFIG = CONFIGS["modernbert"]
FULL, LOCAL = "full_attention", "sliding_attention"
# As published in transformers 4.48, whose fields have other names.
OLD = {
  "architectures": ["ModernBertForMaskedLM"],
  "attention_bias": False,
  "attention_dropout": 0.0,
  "bos_token_id": 50281,
  "classifier_activation": "gelu",
  "classifier_bias": False,
  "classifier_dropout": 0.0,
  "classifier_pooling": "mean",
  "cls_token_id": 50281,
  "decoder_bias": True,
  "deterministic_flash_attn": False,
  "embedding_dropout": 0.0,
  "eos_token_id": 50282,
  "global_attn_every_n_layers": 3,
  "global_rope_theta": 160000.0,
  "gradient_checkpointing": False,
  "hidden_activation": "gelu",
  "hidden_size": 768,
  "initializer_cutoff_factor": 2.0,
  "initializer_range": 0.02,
  "intermediate_size": 1152,
  "layer_norm_eps": 1e-05,
  "local_attention": 128,
  "local_rope_theta": 10000.0,
  "max_position_embeddings": 8192,
  "mlp_bias": False,
  "mlp_dropout": 0.0,
  "model_type": "modernbert",
  "norm_bias": False,
  "norm_eps": 1e-05,
  "num_attention_heads": 12,
  "num_hidden_layers": 22,
  "pad_token_id": 50283,
  "position_embedding_type": "absolute",
  "sep_token_id": 50282,
  "tie_word_embeddings": True,
  "torch_dtype": "float32",
  "transformers_version": "4.47.0.dev0",
  "vocab_size": 50368,
}


def read(**changes):
  mapping = config_to_huggingface(CONFIG, "BertModel", 0)
  return config_from_huggingface({**mapping, **changes})


def test_the_published_config_is_the_family():
  from configs.families import FAMILIES

  family = FAMILIES["modernbert"]
  found = config_from_huggingface(OLD)
  for field, value in {**family.choices, **family.sizes["base"]}.items():
    assert getattr(found, field) == value, field
  assert found.vocab_size == 50368


@pytest.mark.parametrize(
  "changes",
  [
    {},
    {"global_every": 2},
    {"global_every": 9},
    {"rotary_local_base": 0.0},
    {"num_layers": 1},
    {"norm": "layer", "use_bias": True, "activation": "gelu_tanh"},
    {"hidden_dropout_rate": 0.2, "attention_dropout_rate": 0.1},
  ],
)
def test_choices_go_there_and_back(changes):
  config = dataclasses.replace(CONFIG, **changes)
  mapping = config_to_huggingface(config, "BertModel", 0)
  found = config_from_huggingface(mapping)
  if config.num_layers == 1:  # whose only layer is global
    assert found.attention_pattern == "full"
    return
  if config.global_every > config.num_layers:
    # Of which the layers tell nothing.
    found = dataclasses.replace(found, global_every=config.global_every)
  assert found == config


def test_full_attention_has_one_base():
  config = dataclasses.replace(
    CONFIG,
    attention_pattern="full",
    attention_window=128,
    global_every=3,
    rotary_local_base=0.0,
  )
  mapping = config_to_huggingface(config, "BertModel", 0)
  assert mapping["layer_types"] == [FULL] * 4
  assert config_from_huggingface(mapping) == config


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"layer_types": [FULL, LOCAL, LOCAL, LOCAL]}, ""),
    (
      {"layer_types": [LOCAL, FULL, LOCAL, FULL]},
      r"layer_types=\['sliding.*; only patterns of 4 layers with 'full_atten",
    ),
    (
      {"layer_types": [FULL, LOCAL, FULL, FULL]},
      r"layer_types=\['full_.*; only patterns of 4 layers with 'full_atten",
    ),
    ({"layer_types": [FULL, LOCAL]}, r"layer_types=.*patterns of 4 layers"),
    (
      {"layer_types": None, "global_attn_every_n_layers": 0},
      "global_attn_every_n_layers=0; give a number of layers from 1",
    ),
    (
      {"mlp_dropout": 0.1},
      r"^embedding_dropout=0.0, mlp_dropout=0.1; .*: make them equal$",
    ),
    ({"mlp_bias": True}, r"^attention_bias=False, mlp_bias=True, .* equal$"),
    (
      {"classifier_activation": "silu"},
      r"^classifier_activation='silu' and hidden_activation='gelu'; .* equal$",
    ),
    ({"hidden_activation": "tanh"}, "^(classifier|hidden)_activation="),
    ({"decoder_bias": False}, "decoder_bias=False; only True can be read"),
    ({"local_attention": 5}, "attention_window=5; a window has half"),
    (
      {"rope_parameters": {FULL: {"rope_type": "yarn", "rope_theta": 1e4}}},
      r"rope_parameters\['full_attention'\]=.* only rope_type 'default'",
    ),
  ],
)
def test_what_a_model_here_does_not_have_is_one_line(changes, message):
  if not message:
    assert read(**changes).global_every == 4
    return
  with pytest.raises(ValueError, match=message) as told:
    read(**changes)
  assert "\n" not in str(told.value)
