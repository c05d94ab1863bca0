# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files of graphs, small and large."""

import numpy as np
import pytest

from bertjax.interop.onnx import running
from bertjax.interop.onnx.bert import make_model
from tests.testing.examples import SMALL, ragged
from tests.testing.huggingface_models import make_params

ARCHITECTURE = "BertForTokenClassification"


@pytest.mark.parametrize("is_large", [False, True])
def test_a_large_model_stands_in_two_files(is_large, tmp_path, monkeypatch):
  if is_large:
    monkeypatch.setattr(running, "LARGEST", 10_000)
  model = make_model(make_params(ARCHITECTURE), SMALL, ARCHITECTURE)
  path = tmp_path / "model.onnx"
  running.write_model(model, path)
  names = ["model.onnx", "model.onnx_data"][: 1 + is_large]
  assert sorted(each.name for each in tmp_path.iterdir()) == names
  assert running.is_external(path) == is_large
  assert (path.stat().st_size < 20_000) == is_large
  batch = ragged(3, 9)
  outputs = running.run(running.open_session(path, threads=1), batch)
  assert outputs["logits"].shape == (3, 9, 3)


def test_packs_are_the_mask():
  """Also where a pack is not the first one of its row."""
  batch = ragged(3, 9)
  names = ("input_ids", "attention_mask", "token_type_ids")
  inputs = running.feed(batch | {"packs_BS": batch["packs_BS"] * 2}, names)
  assert {array.dtype for array in inputs.values()} == {np.dtype("int64")}
  np.testing.assert_array_equal(inputs["attention_mask"], batch["packs_BS"])
