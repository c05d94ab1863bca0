# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A card for every kind of head, whose lines run."""

import dataclasses
import json
from typing import Any

import jax
import numpy as np
import pytest

from bertjax.checkpoints import bundle as bundles
from bertjax.interop.onnx import running
from bertjax.interop.onnx.encoder import inputs_of
from bertjax.interop.outputs import SINGLE_LABEL
from launch import export, predict
from launch.exports.formats import Options
from launch.exports.onnx_card import _lost, _texts
from launch.exports.onnx_card_kinds import KINDS
from launch.exports.onnx_measures import Loss
from launch.exports.onnx_scores import GraphScores
from tests.testing import small
from tests.testing.exports import HEADS, make_classifier, make_head, snippet
from tests.testing.huggingface_models import LABELS

# What the lines print: a part of it, and the number of lines.
PRINTED = {
  "single_label": ("['", 1),
  "multi_label": ("'fish': '", 2),
  "score": ("[", 1),
  "tokens": ("['[CLS]', '", 2),
  "answers": ("", 1),
  "choice": ("[", 1),
}


@pytest.mark.parametrize("name", PRINTED)
def test_the_lines_of_a_card_run(name, tmp_path, monkeypatch, capsys):
  bundle = make_head(tmp_path / "bundle", name)
  out = export.run(bundle=bundle, output=tmp_path / "out", format="onnx")
  monkeypatch.chdir(out)
  exec(compile(snippet(out), "README.md", "exec"), {})
  printed = capsys.readouterr().out
  part, lines = PRINTED[name]
  assert part in printed
  assert len(printed.splitlines()) == lines
  settings = json.loads((out / "config.json").read_text())
  assert settings.get("problem_type", "") == HEADS[name].outputs.problem_type
  assert settings["architectures"] == [HEADS[name].architecture]


def test_the_lines_of_a_card_of_pairs_run(tmp_path, monkeypatch):
  bundle = make_classifier(tmp_path / "bundle", pair=True)
  out = export.run(bundle=bundle, output=tmp_path / "out", format="onnx")
  monkeypatch.chdir(out)
  names = {}
  exec(compile(snippet(out), "README.md", "exec"), names)
  assert names["inputs"]["token_type_ids"].any()
  assert len(names["logits"]) == 1


def change_head(folder, bundle, more=(), **fields):
  """Write a bundle with more parameters, and other fields of its head."""
  info = bundles.read_bundle_info(bundle)
  task = {**(info.details.task or {}), **fields}
  bundles.write_bundle(
    folder,
    {**bundles.load_params(info), **dict(more)},
    info.model,
    info.tokenizer_path,
    dataclasses.replace(info.details, task=task),
  )
  return folder


def test_the_temperature_of_dev_is_told(tmp_path):
  bundle = make_head(tmp_path / "bundle", "single_label")
  path = change_head(tmp_path / "calibrated", bundle, temperature=1.2345678)
  for given, told in ((bundle, False), (path, True)):
    out = export.run(bundle=given, output=tmp_path / "out", format="onnx")
    card = " ".join((out / "README.md").read_text().split())
    assert ("divided by 1.235 give calibrated" in card) == told


def make_sliding(folder, pool, name="single_label"):
  """Write a model that reads long texts in windows; return its path."""
  settings = {"stride": 4, "pool_max": float(pool == "max")}
  more = {}
  if pool == "attention":
    settings = {"stride": 4, "pool_attention": 1.0}
    kernel_D1 = np.random.default_rng(3).standard_normal((32, 1), np.float32)
    more = {"window_scorer": {"dense": {"kernel": kernel_D1}}}
  return change_head(
    folder / "sliding",
    make_head(folder / "bundle", name),
    more,
    settings=settings,
  )


@pytest.mark.parametrize(
  "pool", ["mean", pytest.param("max", marks=pytest.mark.full), "attention"]
)
def test_long_texts_are_read_in_windows_as_we_do(pool, tmp_path, monkeypatch):
  bundle = make_sliding(tmp_path, pool)
  texts = ["the cod and the eel by the river. " * 4, "an elm by the hill."]
  out = export.run(bundle=bundle, output=tmp_path / "out", format="onnx")
  monkeypatch.chdir(out)
  code = snippet(out).replace('"Some text.", "Another."', repr(texts)[1:-1])
  names = {}
  exec(compile(code, "README.md", "exec"), names)
  assert len(names["rows"]) > 5
  theirs = np.asarray(jax.nn.softmax(names["logits"]))
  for row, answers in zip(theirs, predict.answer(bundle, texts), strict=True):
    expected = [dict(answers)[name] for name in LABELS]
    np.testing.assert_allclose(row, expected, atol=1e-5, rtol=0)
  settings = json.loads((out / "config.json").read_text())
  assert (settings["long_texts"], settings["stride"]) == (pool, 4)
  assert ("`attention`" in (out / "README.md").read_text()) == (
    pool == "attention"
  )


@pytest.mark.parametrize("name", ["multi_label", "score"])
def test_windows_that_attention_weighs_have_scores(name, tmp_path):
  """For each kind of label, and in a quantized graph as well."""
  out = export.run(
    bundle=make_sliding(tmp_path, "attention", name),
    output=tmp_path / "out",
    format="onnx",
    options=Options(quantize="dynamic"),
  )
  row = {name: np.ones((2, 9), np.int64) for name in inputs_of(small.MODEL)}
  for file in ("model.onnx", "model_quantized.onnx"):
    session = running.open_session(out / file)
    assert [each.name for each in session.get_outputs()] == [
      "logits",
      "attention",
    ]
    outputs: Any = session.run(None, row)
    shapes = [each.shape for each in outputs]
    assert (shapes[0][0], shapes[1]) == (2, (2,))


@pytest.mark.parametrize("pool", ["mean", "max", "attention"])
def test_windows_are_no_class_of_transformers(pool, tmp_path):
  bundle = make_sliding(tmp_path, pool)
  with pytest.raises(ValueError, match=r"pools the windows of.*onnx") as told:
    export.run(bundle=bundle, output=tmp_path / "out")
  assert "\n" not in str(told.value)
  assert not (tmp_path / "out").exists()


def test_losses_are_phrases():
  loss = Loss(
    texts=90,
    total=1200,
    cut=3,
    difference=0.25,
    calibrated=256,
    equal=0.98,
    scores=GraphScores("f1", {"f1": 0.9}, {"f1": 0.895}),
  )
  kind = KINDS["BertForSequenceClassification", SINGLE_LABEL]
  assert _lost(loss, kind) == (
    "f1 is 0.8950 and was 0.9000, 98.00% of the labels of texts are equal, "
    "outputs differ by at most 0.25"
  )
  assert _texts(loss) == (
    "90 of 1,200 texts, and calibrated on 256 others (3 of all were cut)"
  )
