# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX folder of every family is run alone, by the lines of its card."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from bertjax.checkpoints import bundle as bundles
from bertjax.interop.families.registry import FAMILIES
from launch import export, predict
from launch.exports.formats import Options
from tests.testing import small
from tests.testing.exports import HEADS, snippet
from tests.testing.family_bundles import make_bundle
from tests.testing.huggingface_models import LABELS

TEXTS = [text for text, _ in small.make_texts(8, seed=3)]


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=[pytest.mark.full] * (name != "modernbert"))
    for name in FAMILIES
    if name != "bert"
  ],
)
def test_the_card_classifies_as_we_do(name, tmp_path, monkeypatch):
  head = dataclasses.replace(HEADS["single_label"], seq_length=24)
  bundle = make_bundle(name, tmp_path, head)
  out = export.run(
    bundle=bundle,
    output=tmp_path / "out",
    format="onnx",
    options=Options(quantize="dynamic"),
  )
  monkeypatch.chdir(out)
  code = snippet(out).replace('"Some text.", "Another."', repr(TEXTS)[1:-1])
  names = {}
  exec(compile(code, "README.md", "exec"), names)
  theirs = np.asarray(jax.nn.softmax(names["logits"]))
  assert theirs.std(axis=0).max() > 0.001  # texts are told apart
  answers = predict.answer(str(bundle), TEXTS, top_k=9)
  for row, ours in zip(theirs, answers, strict=True):
    expected = [dict(ours)[label] for label in LABELS]
    np.testing.assert_allclose(row, expected, atol=1e-5, rtol=0)
  settings = json.loads((out / "config.json").read_text())
  assert settings["model_type"] == name
  assert f" {FAMILIES[name].title} encoder" in (out / "README.md").read_text()
  assert (out / "model_quantized.onnx").is_file()


def test_what_no_family_has_is_refused_before_anything_is_written(tmp_path):
  given = bundles.read_bundle_info(make_bundle("roberta", tmp_path))
  mixed = dataclasses.replace(given.model, activation="relu")
  bundle = tmp_path / "mixed"
  params = bundles.load_params(given)
  bundles.write_bundle(
    bundle, params, mixed, given.tokenizer_path, given.details
  )
  with pytest.raises(
    ValueError, match="activation=relu is not of RoBERTa"
  ) as told:
    export.run(bundle=bundle, output=tmp_path / "out", format="onnx")
  assert "\n" not in str(told.value)
  assert not [*tmp_path.glob("out*")]
