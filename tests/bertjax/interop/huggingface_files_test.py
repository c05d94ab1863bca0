# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A folder for transformers, written and read back."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bertjax.interop.huggingface_files import export_model, load_model
from tests.testing.examples import SMALL
from tests.testing.huggingface_models import make_params, outputs_of

PARAMS = make_params("BertForPreTraining")
HEADS = (
  "BertForSequenceClassification",
  "BertForTokenClassification",
  "BertForQuestionAnswering",
  "BertForMultipleChoice",
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


def test_an_export_is_read_back(folder):
  loaded = load_model(folder)
  assert (loaded.config, loaded.outputs) == (SMALL, ((), ""))
  jax.tree.map(np.testing.assert_array_equal, PARAMS, loaded.params)
  paths = list(folder.rglob("*"))
  assert {path.name for path in paths} == {"config.json", "model.safetensors"}
  assert len({path.stat().st_mode for path in paths}) == 1


def test_the_heads_stand_beside_the_encoder(folder):
  """As in the folders of published BERTs."""
  names = load_file(folder / "model.safetensors").keys()
  assert {name.split(".")[0] for name in names} == {"bert", "cls"}
  assert {name for name in names if name.startswith("cls.seq")} == {
    "cls.seq_relationship.weight",
    "cls.seq_relationship.bias",
  }
  config = json.loads((folder / "config.json").read_text())
  assert config["architectures"] == ["BertForPreTraining"]


@pytest.mark.parametrize("architecture", HEADS)
def test_an_export_of_a_head_is_read_back(architecture, tmp_path):
  params, outputs = make_params(architecture), outputs_of(architecture)
  export_model(
    params,
    SMALL,
    tmp_path,
    architecture=architecture,
    pad_id=0,
    outputs=outputs,
  )
  loaded = load_model(tmp_path)
  assert loaded.architecture == architecture
  assert loaded.outputs == outputs
  jax.tree.map(np.testing.assert_array_equal, params, loaded.params)
  with pytest.raises(ValueError, match="is read whole"):
    load_model(tmp_path, new=("pooler",))


def test_an_earlier_export_is_read(folder, tmp_path):
  """Its root holds the bare encoder, and one folder below it the heads."""
  old = export_model(
    PARAMS, SMALL, tmp_path / "old", architecture="BertModel", pad_id=0
  )
  tensors = load_file(old / "model.safetensors")
  assert not [name for name in tensors if name.startswith(("bert.", "cls."))]
  folder.rename(old / "pretraining")
  with pytest.raises(ValueError, match=r"missing: .'cls.*unknown") as told:
    load_model(old)
  assert str(told.value).endswith(
    "; --new=mlm_head,pair_head initializes these parts, "
    f"{old / 'pretraining'} has them"
  )
  loaded = load_model(old, new=("mlm_head", "pair_head"))
  for part in ("encoder", "pooler"):
    jax.tree.map(
      np.testing.assert_array_equal, PARAMS[part], loaded.params[part]
    )
  with pytest.raises(ValueError, match="give parts of pooler, mlm_head"):
    load_model(old, new=("encoder",))
  whole = load_model(old / "pretraining")
  jax.tree.map(np.testing.assert_array_equal, PARAMS, whole.params)


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
