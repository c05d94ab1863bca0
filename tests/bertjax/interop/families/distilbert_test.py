# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""DistilBERT's table of positions, learned or of sines and cosines."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bertjax.interop.huggingface_files import export_model, load_model
from tests.testing.choices import CONFIGS
from tests.testing.huggingface_models import make_params

CONFIG = CONFIGS["distilbert"]
PRETRAINING = "BertForPreTraining"
TABLE = "distilbert.embeddings.position_embeddings.weight"


@pytest.fixture(name="folder")
def _folder(tmp_path):
  return export_model(
    make_params(PRETRAINING, CONFIG),
    CONFIG,
    tmp_path,
    architecture=PRETRAINING,
    pad_id=0,
  )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_table_of_sinusoids_is_written_and_known(dtype, tmp_path):
  assert CONFIG.positions == "sinusoidal"
  params = make_params(PRETRAINING, CONFIG)
  export_model(
    *(params, CONFIG, tmp_path),
    architecture=PRETRAINING,
    pad_id=0,
    dtype=dtype,
  )
  assert load_file(tmp_path / "model.safetensors")[TABLE].shape == (64, 32)
  loaded = load_model(tmp_path)
  assert loaded.config == CONFIG
  if dtype == "float32":
    jax.tree.map(np.testing.assert_array_equal, params, loaded.params)


def test_another_table_is_a_learned_one(folder):
  weights = folder / "model.safetensors"
  tensors = load_file(weights)
  tensors[TABLE][5, 7] += 0.01
  save_file(tensors, weights)
  loaded = load_model(folder)
  assert loaded.config == dataclasses.replace(CONFIG, positions="learned")
  np.testing.assert_array_equal(
    loaded.params["encoder"]["embeddings"]["position"]["embedding"],
    tensors[TABLE],
  )


def test_a_learned_table_is_what_the_config_says(folder):
  path = folder / "config.json"
  path.write_text(
    json.dumps({**json.loads(path.read_text()), "sinusoidal_pos_embds": False})
  )
  assert load_model(folder).config.positions == "learned"
