# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""ALBERT's groups, and its masked language model without a pooler."""

import dataclasses

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bertjax.interop.huggingface_config import (
  config_from_huggingface,
  config_to_huggingface,
)
from bertjax.interop.huggingface_files import export_model, load_model
from tests.testing.choices import CONFIGS
from tests.testing.huggingface_models import make_params

CONFIG = CONFIGS["albert"]
BARE = dataclasses.replace(CONFIG, pooler=False)
PRETRAINING = "BertForPreTraining"
POOLER = ("albert.pooler.weight", "albert.pooler.bias")


def write(config, folder):
  params = make_params(PRETRAINING, config)
  export_model(params, config, folder, architecture=PRETRAINING, pad_id=0)
  return params


@pytest.mark.parametrize("config", [CONFIG, BARE])
def test_a_model_is_read_with_a_pooler_or_without(config, tmp_path):
  params = write(config, tmp_path)
  loaded = load_model(tmp_path)
  assert loaded.config == config
  assert loaded.class_name == (
    "AlbertForPreTraining" if config.pooler else "AlbertForMaskedLM"
  )
  jax.tree.map(np.testing.assert_array_equal, params, loaded.params)


def test_a_masked_language_model_gets_a_pooler_where_it_is_asked(tmp_path):
  write(BARE, tmp_path)
  loaded = load_model(tmp_path, new=("pooler", "pair_head"))
  assert loaded.config == CONFIG
  with pytest.raises(ValueError, match="--new=pair_head,pooler initializes"):
    load_model(tmp_path, new=("pair_head",))


def test_a_published_folder_has_a_pooler_and_no_head_of_pairs(tmp_path):
  write(BARE, tmp_path)
  weights = tmp_path / "model.safetensors"
  width = CONFIG.hidden_size
  shapes = zip(POOLER, [(width, width), (width,)], strict=True)
  pooler = {name: np.ones(shape, np.float32) for name, shape in shapes}
  save_file(load_file(weights) | pooler, weights)
  with pytest.raises(ValueError, match="--new=pair_head initializes these"):
    load_model(tmp_path)
  assert load_model(tmp_path, new=("pair_head",)).config == CONFIG


def test_published_fields_are_known():
  """As of albert-base-v2."""
  more = {
    "classifier_dropout_prob": 0.1,
    **dict.fromkeys(("gap_size", "net_structure_type", "num_memory_blocks"), 0),
    "down_scale_factor": 1,
    "attention_probs_dropout_prob": 0,
    "hidden_dropout_prob": 0,
  }
  mapping = {**config_to_huggingface(CONFIG, PRETRAINING, 0), **more}
  assert config_from_huggingface(mapping) == CONFIG
  with pytest.raises(ValueError, match="inner_group_num=2; only 1 can be read"):
    config_from_huggingface({**mapping, "inner_group_num": 2})
  with pytest.raises(ValueError, match="layer_groups=3 does not divide"):
    config_from_huggingface({**mapping, "num_hidden_groups": 3})
