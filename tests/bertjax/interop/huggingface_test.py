# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The mapping table, both ways, and the folders it makes."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from bertjax.config import ModelConfig
from bertjax.interop import huggingface, huggingface_files
from tests.bertjax.examples import SMALL, init_params

PARAMS = init_params()


def test_the_table_names_every_parameter_once():
  ours = [entry.ours for entry in huggingface.TABLE]
  names = [
    jax.tree_util.keystr(path, simple=True, separator="/")
    for path, _ in jax.tree.leaves_with_path(PARAMS)
  ]
  assert sorted(ours) == sorted(names)
  theirs = [entry.theirs for entry in huggingface.TABLE]
  assert len(set(theirs)) == len(theirs)


def test_there_and_back_keeps_every_bit():
  tensors = huggingface.to_huggingface(PARAMS, SMALL)
  back = huggingface.from_huggingface(tensors, SMALL)
  jax.tree.map(np.testing.assert_array_equal, PARAMS, back)


def test_a_matrix_is_output_by_input_and_heads_are_flattened():
  tensors = huggingface.to_huggingface(PARAMS, SMALL)
  attention = PARAMS["encoder"]["layers"]["attention"]
  prefix = "bert.encoder.layer.1.attention"
  query_ED = tensors[f"{prefix}.self.query.weight"]
  np.testing.assert_array_equal(
    query_ED[2 * 8 + 3], attention["query"]["kernel"][1, :, 2, 3]
  )
  assert tensors[f"{prefix}.self.query.bias"].shape == (32,)
  out_DE = tensors[f"{prefix}.output.dense.weight"]
  np.testing.assert_array_equal(
    out_DE[:, 2 * 8 + 3], attention["out"]["kernel"][1, 2, 3]
  )
  assert all(array.flags.c_contiguous for array in tensors.values())


def test_old_names_and_tied_copies_are_understood():
  tensors = huggingface.to_huggingface(PARAMS, SMALL)
  word = "bert.embeddings.word_embeddings.weight"
  old = {
    name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
      "LayerNorm.bias", "LayerNorm.beta"
    ): array
    for name, array in tensors.items()
  }
  old["cls.predictions.decoder.weight"] = tensors[word]
  old["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"]
  old["bert.embeddings.position_ids"] = np.arange(64)[None]
  back = huggingface.from_huggingface(old, SMALL)
  jax.tree.map(np.testing.assert_array_equal, PARAMS, back)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda t: t.pop("cls.predictions.bias"), "missing: .'cls.predictions.b"),
    (lambda t: t.update({"extra": np.ones(1)}), "unknown: .'extra'"),
    (
      lambda t: t.update({"bert.pooler.dense.bias": np.ones(31)}),
      r"bert.pooler.dense.bias has shape \(31,\); the model has \(32,\)",
    ),
    (
      lambda t: t.update(
        {"cls.predictions.decoder.weight": np.ones((120, 32))}
      ),
      "decoder.weight differs from bert.embeddings.word_embeddings.weight",
    ),
  ],
)
def test_what_does_not_fit_is_named(change, message):
  tensors = huggingface.to_huggingface(PARAMS, SMALL)
  change(tensors)
  with pytest.raises(ValueError, match=message):
    huggingface.from_huggingface(tensors, SMALL)


def test_parameters_of_another_model_are_refused():
  other = ModelConfig(**{**vars(SMALL), "vocab_size": 128})
  with pytest.raises(ValueError, match="word/embedding has shape"):
    huggingface.to_huggingface(PARAMS, other)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_configs_go_there_and_back(activation):
  config = ModelConfig(**{**vars(SMALL), "activation": activation})
  mapping = huggingface_files.config_to_huggingface(config, "BertModel", 0)
  assert huggingface_files.config_from_huggingface(mapping) == config


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("model_type", "roberta", "model_type='roberta'; only bert"),
    ("hidden_act", "relu", "hidden_act='relu'; give one of"),
  ],
)
def test_a_config_of_another_kind_is_refused(field, value, message):
  mapping = huggingface_files.config_to_huggingface(SMALL, "BertModel", 0)
  with pytest.raises(ValueError, match=message):
    huggingface_files.config_from_huggingface({**mapping, field: value})
  del mapping["vocab_size"]
  with pytest.raises(ValueError, match=r"config\.json lacks vocab_size"):
    huggingface_files.config_from_huggingface(mapping)


def test_an_export_is_read_back(tmp_path):
  folders = huggingface_files.export_pretraining(
    PARAMS, SMALL, tmp_path / "out", pad_id=0
  )
  assert folders == (tmp_path / "out", tmp_path / "out" / "pretraining")
  config, params = huggingface_files.load_pretraining(folders[1])
  assert config == SMALL
  jax.tree.map(np.testing.assert_array_equal, PARAMS, params)
  names = {path.name for path in folders[0].rglob("*")}
  assert names == {"config.json", "model.safetensors", "pretraining"}


def test_the_folder_itself_holds_the_bare_encoder(tmp_path):
  huggingface_files.export_pretraining(PARAMS, SMALL, tmp_path, pad_id=0)
  tensors = load_file(tmp_path / "model.safetensors")
  assert not [name for name in tensors if name.startswith(("bert.", "cls."))]
  config = json.loads((tmp_path / "config.json").read_text())
  assert config["architectures"] == ["BertModel"]


def test_a_folder_without_weights_is_named(tmp_path):
  with pytest.raises(ValueError, match=r"has no config.json; give an exported"):
    huggingface_files.load_pretraining(tmp_path)
