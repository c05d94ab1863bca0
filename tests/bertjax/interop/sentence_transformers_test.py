# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The files around an encoder that sentence-transformers reads."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from bertjax.interop.sentence_transformers import Pooling, write_modules


def read(path):
  return json.loads(path.read_text())


def test_modules_stand_in_their_order(tmp_path):
  draw = np.random.default_rng(0)
  pooler = {
    "kernel": draw.standard_normal((3, 3)).astype(np.float32),
    "bias": draw.standard_normal(3).astype(np.float32),
  }
  write_modules(tmp_path, Pooling("cls", pooler, True), width=3, max_tokens=7)
  modules = read(tmp_path / "modules.json")
  assert [each["path"] for each in modules] == [
    "",
    "1_Pooling",
    "2_Dense",
    "3_Normalize",
  ]
  kinds = [each["type"].rpartition(".")[2] for each in modules]
  assert kinds == ["Transformer", "Pooling", "Dense", "Normalize"]
  assert read(tmp_path / "sentence_bert_config.json")["max_seq_length"] == 7
  tensors = load_file(tmp_path / "2_Dense" / "model.safetensors")
  np.testing.assert_array_equal(tensors["linear.weight"], pooler["kernel"].T)
  np.testing.assert_array_equal(tensors["linear.bias"], pooler["bias"])
  for each in modules[1:]:
    assert (tmp_path / each["path"] / "config.json").is_file()


@pytest.mark.parametrize("name", ["cls", "mean", "max"])
def test_one_pooling_is_on_and_no_other_by_default(name, tmp_path):
  write_modules(tmp_path, Pooling(name), width=3, max_tokens=7)
  config = read(tmp_path / "1_Pooling" / "config.json")
  modes = {
    field: value for field, value in config.items() if field.startswith("pool")
  }
  (on,) = (field for field, value in modes.items() if value)
  assert on.startswith(f"pooling_mode_{name}_")
  assert len(modes) == 6
  assert len(read(tmp_path / "modules.json")) == 2


def test_a_pooling_that_there_is_none_of_is_refused(tmp_path):
  with pytest.raises(ValueError, match="pooling=last4; give one of cls, mean"):
    write_modules(tmp_path, Pooling("last4"), width=3, max_tokens=7)
