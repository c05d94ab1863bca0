# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Configs and folders, there and back."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bertjax.checkpoints.bundle import Details
from bertjax.config import ModelConfig
from bertjax.interop.huggingface_config import (
  ACTIVATIONS_BACK,
  architecture_from_huggingface,
  config_from_huggingface,
  config_to_huggingface,
  labels_from_huggingface,
)
from bertjax.interop.huggingface_files import (
  export_model,
  export_pretraining,
  load_model,
)
from bertjax.interop.provenance import read_provenance, write_provenance
from tests.testing.examples import SMALL
from tests.testing.huggingface_models import LABELS, labels_of, make_params

PARAMS = make_params("BertForPreTraining")
HEADS = (
  "BertForSequenceClassification",
  "BertForTokenClassification",
  "BertForQuestionAnswering",
)


@pytest.fixture
def folder(tmp_path):
  """`BertForPreTraining` in a folder of its own."""
  return export_model(
    PARAMS,
    SMALL,
    tmp_path / "whole",
    architecture="BertForPreTraining",
    pad_id=0,
  )


def change_config(folder, **changes):
  path = folder / "config.json"
  path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


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
    ("num_attention_heads", 5, "num_heads=5 does not divide"),
    ("hidden_size", "32", "hidden_size='32' is a str; give a int"),
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


def test_an_export_is_read_back(tmp_path):
  folders = export_pretraining(PARAMS, SMALL, tmp_path / "out", pad_id=0)
  assert folders == (tmp_path / "out", tmp_path / "out" / "pretraining")
  loaded = load_model(folders[1])
  assert (loaded.config, loaded.labels) == (SMALL, ())
  jax.tree.map(np.testing.assert_array_equal, PARAMS, loaded.params)
  names = {path.name for path in folders[0].rglob("*")}
  assert names == {"config.json", "model.safetensors", "pretraining"}
  modes = {
    (folders[0] / name).stat().st_mode for name in names - {"pretraining"}
  }
  assert len(modes) == 1


@pytest.mark.parametrize("architecture", HEADS)
def test_an_export_of_a_head_is_read_back(architecture, tmp_path):
  params, labels = make_params(architecture), labels_of(architecture)
  export_model(
    params, SMALL, tmp_path, architecture=architecture, pad_id=0, labels=labels
  )
  loaded = load_model(tmp_path)
  assert loaded.architecture == architecture
  assert loaded.labels == labels
  jax.tree.map(np.testing.assert_array_equal, params, loaded.params)
  with pytest.raises(ValueError, match="is read whole"):
    load_model(tmp_path, new=("pooler",))


def test_the_folder_itself_holds_the_bare_encoder(tmp_path):
  export_pretraining(PARAMS, SMALL, tmp_path, pad_id=0)
  tensors = load_file(tmp_path / "model.safetensors")
  assert not [name for name in tensors if name.startswith(("bert.", "cls."))]
  config = json.loads((tmp_path / "config.json").read_text())
  assert config["architectures"] == ["BertModel"]
  with pytest.raises(ValueError, match=r"missing: .'cls.*unknown") as told:
    load_model(tmp_path)
  assert str(told.value).endswith(
    "; --new=mlm_head,pair_head initializes these parts, "
    f"{tmp_path / 'pretraining'} has them"
  )
  loaded = load_model(tmp_path, new=("mlm_head", "pair_head"))
  for part in ("encoder", "pooler"):
    jax.tree.map(
      np.testing.assert_array_equal, PARAMS[part], loaded.params[part]
    )
  with pytest.raises(ValueError, match="give parts of pooler, mlm_head"):
    load_model(tmp_path, new=("encoder",))


def test_weights_in_several_files_are_read(folder):
  whole = folder / "model.safetensors"
  tensors = load_file(whole)
  files = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
  places = {name: files[n % 2] for n, name in enumerate(tensors)}
  for file in files:
    here = {name: tensors[name] for name in tensors if places[name] == file}
    save_file(here, folder / file)
  index = folder / "model.safetensors.index.json"
  index.write_text(json.dumps({"weight_map": places}))
  whole.unlink()
  loaded = load_model(folder)
  jax.tree.map(np.testing.assert_array_equal, PARAMS, loaded.params)
  index.write_text(json.dumps({"weight_map": {**places, "more": files[0]}}))
  with pytest.raises(ValueError, match=r"its files differ in \['more'\]"):
    load_model(folder)


def test_a_config_of_other_shapes_names_both(folder):
  change_config(folder, intermediate_size=60)
  with pytest.raises(
    ValueError, match=r"shape \(64, 32\); the model has \(60, 32"
  ):
    load_model(folder)
  change_config(folder, intermediate_size=64, num_hidden_layers=3)
  with pytest.raises(ValueError, match=r"missing: .*layer\.2\..*unknown: \[\]"):
    load_model(folder)


def test_a_folder_that_cannot_be_read_is_named(folder, tmp_path):
  with pytest.raises(ValueError, match=r"has no config.json; give a folder"):
    load_model(tmp_path)
  (folder / "model.safetensors").write_bytes(b"not tensors at all")
  with pytest.raises(ValueError, match=r"model.safetensors cannot be read"):
    load_model(folder)
  (folder / "model.safetensors").unlink()
  with pytest.raises(ValueError, match=r"has no model.safetensors; give a"):
    load_model(folder)
  (folder / "config.json").write_text("[]")
  with pytest.raises(ValueError, match=r"config.json holds a list"):
    load_model(folder)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS_BACK))
def test_activations_are_what_transformers_means(name):
  torch = pytest.importorskip("torch")
  activations = pytest.importorskip("transformers.activations")
  ours = {"gelu": "gelu", "gelu_tanh": "gelu_new"}[ACTIVATIONS_BACK[name]]
  x = torch.linspace(-6, 6, 1001, dtype=torch.float64)
  one, other = (activations.ACT2FN[each](x) for each in (name, ours))
  np.testing.assert_allclose(one, other, atol=1e-9, rtol=0)


def test_what_is_said_of_weights_is_said_of_no_others(folder):
  weights = folder / "model.safetensors"
  assert read_provenance(weights) is None
  known = Details(pooler_trained=True, step=3)
  details = dataclasses.replace(
    known, config={"data": {"store": "/home/me"}}, versions={"jax": "1"}
  )
  path = write_provenance(weights, details)
  assert "/home" not in path.read_text()
  assert read_provenance(weights) == known
  save_file({"other": np.ones(1, np.float32)}, weights)
  assert read_provenance(weights) is None
  path.write_text("{}")
  with pytest.raises(ValueError, match=r"bertjax.json cannot be read"):
    read_provenance(weights)


def test_labels_are_written_both_ways():
  mapping = config_to_huggingface(
    SMALL, "BertForTokenClassification", 0, LABELS
  )
  assert mapping["label2id"] == {"fish": 0, "tree": 1, "a | b": 2}
  assert labels_from_huggingface(mapping) == LABELS
