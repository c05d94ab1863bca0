# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""RoBERTa's positions, which begin behind the id of padding."""

import dataclasses

import jax
import numpy as np
import pytest

from bertjax.interop.huggingface_config import (
  config_from_huggingface,
  config_to_huggingface,
)
from bertjax.interop.huggingface_files import export_model, load_model
from tests.testing.choices import CONFIGS
from tests.testing.huggingface_models import make_params

CONFIG = CONFIGS["roberta"]
PRETRAINING = "BertForPreTraining"


@pytest.mark.parametrize("pad_id", [0, 1, 4])
def test_the_table_moves_to_where_transformers_reads_it(pad_id, tmp_path):
  """A WordPiece has its padding at 0, and fairseq's vocabulary at 1."""
  params = make_params(PRETRAINING, CONFIG)
  export_model(
    params, CONFIG, tmp_path, architecture=PRETRAINING, pad_id=pad_id
  )
  loaded = load_model(tmp_path)
  offset = pad_id + 1
  assert loaded.config == dataclasses.replace(CONFIG, position_offset=offset)
  tables = [
    tree["encoder"]["embeddings"]["position"].pop("embedding")
    for tree in (params, loaded.params)
  ]
  np.testing.assert_array_equal(tables[0][2:], tables[1][offset:])
  jax.tree.map(np.testing.assert_array_equal, params, loaded.params)


def test_a_published_shape_is_514_rows():
  usual = config_from_huggingface(
    {
      **config_to_huggingface(CONFIG, PRETRAINING, 1),
      "max_position_embeddings": 514,
      "pad_token_id": None,  # 1, as transformers has it
    }
  )
  assert (usual.max_positions, usual.position_offset) == (512, 2)


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("max_position_embeddings", 2, "=2 with pad_token_id=1; give more than 2"),
    ("max_position_embeddings", None, "=None with pad_token_id=1; give more"),
    ("pad_token_id", -1, "pad_token_id=-1; give the id of padding"),
    ("hidden_act", "relu", "hidden_act='relu'; give one of .'gelu', "),
    ("hidden_act", "gelu_new", "hidden_act='gelu_new'; give one of .'gelu', "),
  ],
)
def test_what_roberta_does_not_have_is_refused(field, value, message):
  mapping = config_to_huggingface(CONFIG, PRETRAINING, 1)
  with pytest.raises(ValueError, match=message):
    config_from_huggingface({**mapping, field: value})


def test_a_pooler_that_nothing_has_trained_is_left_out(tmp_path):
  """As published folders of the masked language model have one."""
  params = make_params(PRETRAINING, CONFIG)
  export_model(params, CONFIG, tmp_path, architecture=PRETRAINING, pad_id=1)
  from safetensors.numpy import load_file, save_file

  weights = tmp_path / "model.safetensors"
  width = CONFIG.hidden_size
  pooler = {
    "roberta.pooler.dense.weight": np.ones((width, width), np.float32),
    "roberta.pooler.dense.bias": np.ones(width, np.float32),
  }
  save_file(load_file(weights) | pooler, weights)
  loaded = load_model(tmp_path)
  jax.tree.map(np.testing.assert_array_equal, params, loaded.params)
