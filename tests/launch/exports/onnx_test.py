# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX folder is run alone, by the lines of its own card."""

import importlib.util
import json

import jax
import numpy as np
import onnxruntime
import pytest

from data_pipelines.tokenizers import tokenizers
from launch import export, predict
from launch.exports.formats import Options
from launch.preflight.policy import DEFAULT
from tests.testing import small
from tests.testing.exports import make_bundle, make_classifier, snippet
from tests.testing.huggingface_models import LABELS

TEXTS = [text for text, _ in small.make_texts(24, seed=3)]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
  path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
  rows = zip(TEXTS, ("fish", "tree") * 12, strict=True)
  return small.write_table(path, rows)


def run_card(folder, monkeypatch, capsys, texts=TEXTS):
  """Run the card's lines on other texts; return what it prints."""
  monkeypatch.chdir(folder)
  code = snippet(folder).replace('"Some text.", "Another."', repr(texts)[1:-1])
  names = {}
  exec(compile(code, "README.md", "exec"), names)
  return names, capsys.readouterr().out


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_the_card_classifies_as_we_do(pooling, tmp_path, monkeypatch, capsys):
  bundle = make_classifier(tmp_path / "bundle", pooling=pooling)
  out = export.run(bundle=bundle, output=tmp_path / "out", format="onnx")
  names, printed = run_card(out, monkeypatch, capsys)
  ours = predict.answer(bundle, TEXTS, top_k=9)
  assert printed.strip() == str([answers[0][0] for answers in ours])
  theirs = np.asarray(jax.nn.softmax(names["logits"]))
  assert theirs.std(axis=0).max() > 0.001  # texts are told apart
  for row, answers in zip(theirs, ours, strict=True):
    expected = [dict(answers)[name] for name in LABELS]
    np.testing.assert_allclose(row, expected, atol=1e-5, rtol=0)
  settings = json.loads((out / "config.json").read_text())
  assert settings["pooling"] == pooling
  assert sorted(path.name for path in out.iterdir()) == [
    "README.md",
    "bertjax.json",
    "config.json",
    "model.onnx",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
  ]
  card = (out / "README.md").read_text()
  assert "differs from the model in JAX by at most" in card
  assert "7 bits" not in card


@pytest.mark.parametrize("trained", [False, True])
def test_an_encoder_has_the_pooler_that_was_trained(
  trained, tmp_path, monkeypatch, capsys
):
  bundle = make_bundle(tmp_path / "bundle", pooler_trained=trained)
  out = export.run(bundle=bundle, output=tmp_path / "out", format="onnx")
  names, _ = run_card(out, monkeypatch, capsys)
  assert names["hidden"].shape == (24, names["hidden"].shape[1], 32)
  session = onnxruntime.InferenceSession(out / "model.onnx")
  outputs = [each.name for each in session.get_outputs()]
  assert outputs == ["last_hidden_state", "pooler_output"][: 1 + trained]


@pytest.mark.parametrize("way", ["dynamic", "static"])
def test_the_card_says_what_a_quantized_graph_loses(
  way, classifier, table, tmp_path
):
  out = export.run(
    bundle=classifier,
    output=tmp_path / "out",
    format="onnx",
    options=Options(quantize=way, calibration=table, label_column="label"),
  )
  card = (out / "README.md").read_text()
  assert f"| model_quantized.onnx | int8, {way} |" in card
  measured = "24 of 24 texts, each" if way == "dynamic" else "12 of 24 texts, a"
  assert f"It was measured on {measured}" in card
  assert ("calibrated on 12 others" in card) == (way == "static")
  assert " of the labels of texts are equal" in card
  assert "accuracy is " in card
  assert "| macro_f1 | " in card
  assert ("depend slightly on the texts beside" in card) == (way == "dynamic")
  assert " cores, " in card
  float32 = out / "model.onnx"
  assert (out / "model_quantized.onnx").stat().st_size < float32.stat().st_size


def test_without_texts_nothing_is_claimed(bundle, tmp_path, caplog):
  out = export.run(
    bundle=bundle,
    output=tmp_path / "out",
    format="onnx",
    options=Options(quantize="dynamic"),
  )
  card = (out / "README.md").read_text()
  assert "What model_quantized.onnx loses was not measured" in card
  assert "--calibration=FILE" in card
  assert "give --calibration=FILE" in caplog.text


def test_the_tokenizer_beside_it_is_ours(bundle, tmp_path):
  out = export.run(bundle=bundle, output=tmp_path / "out", format="onnx")
  assert tokenizers.load(out).tokens == [*small.TOKENS]
  settings = json.loads((out / "tokenizer_config.json").read_text())
  assert settings["model_max_length"] == small.MODEL.max_positions


@pytest.mark.parametrize(
  ("options", "message"),
  [
    (
      {"quantize": "int4"},
      "--quantize=int4; give one of none, dynamic, static",
    ),
    ({"quantize": "static"}, "texts; give a table of them as --calibration"),
    ({"calibration": "x.csv"}, "x.csv is read only with --quantize; give --q"),
    ({"quantize": "dynamic", "text_column": "a"}, "--text_column is read only"),
    ({"quantize": "dynamic", "policy": DEFAULT}, "judge the texts of --calib"),
    ({"dtype": "bfloat16"}, "--dtype=bfloat16 is for --format=huggingface"),
  ],
)
def test_options_that_do_not_fit_are_refused(options, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    export.run(
      bundle="absent",
      output=tmp_path / "out",
      format="onnx",
      options=Options(**options),
    )


def test_one_text_is_too_few_for_a_static_graph(classifier, tmp_path):
  table = small.write_table(tmp_path / "one.jsonl", [("the cod", "fish")])
  with pytest.raises(ValueError, match="with two or more"):
    export.run(
      bundle=classifier,
      output=tmp_path / "out",
      format="onnx",
      options=Options(quantize="static", calibration=table),
    )
  assert not [*tmp_path.glob("*out*")]


def test_a_missing_package_is_named(tmp_path, monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(ValueError, match=r"needs onnx; pip install 'bertjax\[on"):
    export.run(bundle="absent", output=tmp_path / "out", format="onnx")
