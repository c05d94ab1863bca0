# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A card for every kind of head, whose lines run."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from bertjax.checkpoints import bundle as bundles
from bertjax.interop.outputs import SINGLE_LABEL
from launch import export, predict
from launch.exports.onnx_card import _lost, _texts
from launch.exports.onnx_card_kinds import KINDS
from launch.exports.onnx_measures import Loss
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


def change_head(folder, bundle, **fields):
  """Write a bundle again with other fields in the record of its head."""
  info = bundles.read_bundle_info(bundle)
  task = {**(info.details.task or {}), **fields}
  bundles.write_bundle(
    folder,
    bundles.load_params(info),
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


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_long_texts_are_read_in_windows_as_we_do(pool, tmp_path, monkeypatch):
  bundle = change_head(
    tmp_path / "sliding",
    make_head(tmp_path / "bundle", "single_label"),
    settings={"stride": 4, "pool_max": float(pool == "max")},
  )
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


def test_losses_are_phrases():
  loss = Loss(
    texts=90,
    total=1200,
    cut=3,
    difference=0.25,
    calibrated=256,
    equal=0.98,
    accuracy=(0.9, 0.895),
  )
  kind = KINDS["BertForSequenceClassification", SINGLE_LABEL]
  assert _lost(loss, kind) == (
    "accuracy is 89.50% and was 90.00%, 98.00% of the labels of texts are "
    "equal, outputs differ by at most 0.25"
  )
  assert _texts(loss) == (
    "90 of 1,200 texts, and calibrated on 256 others (3 of all were cut)"
  )
