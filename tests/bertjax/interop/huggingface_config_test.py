# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The config of a model in both layouts, and what is refused."""

import pytest

from bertjax.config import ModelConfig
from bertjax.interop.families.registry import FAMILIES
from bertjax.interop.huggingface_config import (
  architecture_from_huggingface,
  config_from_huggingface,
  config_to_huggingface,
)
from tests.testing.choices import CONFIGS
from tests.testing.examples import SMALL


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_configs_go_there_and_back(activation):
  config = ModelConfig(**{**vars(SMALL), "activation": activation})
  mapping = config_to_huggingface(config, "BertModel", 0)
  assert config_from_huggingface(mapping) == config


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("model_type", "t5", "model_type='t5'; only bert, roberta, "),
    ("hidden_act", "relu", "hidden_act='relu'; give one of"),
    ("is_decoder", True, "is_decoder=True; only False"),
    ("position_embedding_type", "relative_key", "only absolute"),
    ("pruned_heads", {"0": [1]}, "pruned_heads={'0': .1.}; only {} can be"),
    ("is_encoder_decoder", True, "is_encoder_decoder=True; only False"),
    ("quantization_config", {}, "nothing is known about quantization_config={"),
    ("num_attention_heads", 5, "num_heads=5 does not divide"),
    ("hidden_size", "32", "hidden_size='32' is a str; give an int"),
  ],
)
def test_a_config_of_another_kind_is_refused(field, value, message):
  mapping = config_to_huggingface(SMALL, "BertModel", 0)
  with pytest.raises(ValueError, match=message):
    config_from_huggingface({**mapping, field: value})
  del mapping["vocab_size"]
  with pytest.raises(ValueError, match=r"config\.json lacks vocab_size"):
    config_from_huggingface(mapping)


def test_the_configs_of_2019_lack_what_had_no_choice():
  """As of google-research/bert's own bert_config.json."""
  mapping = config_to_huggingface(SMALL, "BertModel", 0)
  for name in ("architectures", "model_type", "layer_norm_eps"):
    del mapping[name]
  assert config_from_huggingface(mapping) == SMALL
  assert architecture_from_huggingface(mapping) == "BertForPreTraining"


def test_an_architecture_that_only_looks_alike_is_refused():
  with pytest.raises(ValueError, match=r"LMHeadModel.*; give one of BertMod"):
    architecture_from_huggingface({"architectures": ["BertLMHeadModel"]})


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_all_that_transformers_writes_is_known(family):
  transformers = pytest.importorskip("transformers")
  make = transformers.AutoConfig.for_model
  mapping = make(family.model_type).to_dict()
  config = config_from_huggingface(mapping)
  assert config.hidden_size == mapping.get("hidden_size", mapping.get("dim"))
  family.check(config)


@pytest.mark.parametrize("name", FAMILIES)
def test_configs_of_every_family_go_there_and_back(name):
  config = CONFIGS[name]
  # RoBERTa's positions begin behind the id of padding.
  mapping = config_to_huggingface(config, "BertModel", 1)
  assert config_from_huggingface(mapping) == config
