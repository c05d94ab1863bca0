# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The config of a model in both layouts, and what is refused."""

import pytest

from bertjax.config import ModelConfig
from bertjax.interop import bert
from bertjax.interop.huggingface_config import (
  architecture_from_huggingface,
  config_from_huggingface,
  config_to_huggingface,
  labels_from_huggingface,
)
from tests.testing.examples import SMALL
from tests.testing.huggingface_models import LABELS


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_configs_go_there_and_back(activation):
  config = ModelConfig(**{**vars(SMALL), "activation": activation})
  mapping = config_to_huggingface(config, "BertModel", 0)
  assert config_from_huggingface(mapping) == config


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("model_type", "roberta", "model_type='roberta'; only bert"),
    ("hidden_act", "relu", "hidden_act='relu'; give one of"),
    ("is_decoder", True, "is_decoder=True; only False"),
    ("position_embedding_type", "relative_key", "only absolute"),
    ("problem_type", "regression", "only single_label_classification"),
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
  with pytest.raises(
    ValueError, match=r"MultipleChoice.*; give one of BertMod"
  ):
    architecture_from_huggingface({"architectures": ["BertForMultipleChoice"]})


@pytest.mark.parametrize(
  ("names", "message"),
  [
    ({"0": "a", "2": "b"}, r"ids \[0, 2\]"),
    ({"0": "a"}, r"ids \[0\]"),
    ({"0": "a", "1": "a"}, "a name twice"),
    (["a", "b"], "a name for each id"),
  ],
)
def test_labels_that_are_none_are_refused(names, message):
  with pytest.raises(ValueError, match=message):
    labels_from_huggingface({"id2label": names})
  ten = {str(id_): f"label {id_}" for id_ in reversed(range(11))}
  labels = labels_from_huggingface({"id2label": ten})
  assert labels == tuple(f"label {id_}" for id_ in range(11))


def test_labels_are_written_both_ways():
  mapping = config_to_huggingface(
    SMALL, "BertForTokenClassification", 0, LABELS
  )
  assert mapping["label2id"] == {"fish": 0, "tree": 1, "a | b": 2}
  assert labels_from_huggingface(mapping) == LABELS


def test_every_field_of_a_config_is_in_one_table():
  tables = (
    set(bert.SIZES.values()),
    set(bert.RATES.values()),
    set(bert.FIXED),
    bert.WITHOUT_EFFECT,
    bert.READ,
  )
  assert sum(map(len, tables)) == len(set().union(*tables))


def test_all_that_transformers_writes_is_known():
  transformers = pytest.importorskip("transformers")
  mapping = transformers.BertConfig().to_dict()
  assert config_from_huggingface(mapping).hidden_size == 768
