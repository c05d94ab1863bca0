# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A card for every kind of graph, whose lines run."""

import pathlib

import pytest

from bertjax.finetune.artifact import save_finetuned
from bertjax.finetune.task import Head
from launch import export
from launch.exports.onnx_card import _lost, _texts
from launch.exports.onnx_measures import Loss
from tests.testing import small
from tests.testing.exports import make_classifier, snippet
from tests.testing.huggingface_models import make_params, outputs_of

TAGGER, READER = "BertForTokenClassification", "BertForQuestionAnswering"


def make_other(folder: pathlib.Path, architecture, pair):
  head = Head(
    "words",
    outputs_of(architecture).labels,
    "",
    12,
    pair,
    architecture,
    "other",
  )
  tokenizer = small.make_tokenizer(folder.with_name("tokenizer"))
  params = make_params(architecture, small.MODEL)
  save_finetuned(folder, params, small.MODEL, tokenizer, head, step=30)
  return folder


@pytest.mark.parametrize("architecture", [TAGGER, READER])
def test_the_lines_of_a_card_run(architecture, tmp_path, monkeypatch, capsys):
  bundle = make_other(tmp_path / "bundle", architecture, architecture == READER)
  out = export.run(bundle=bundle, output=tmp_path / "out", format="onnx")
  monkeypatch.chdir(out)
  exec(compile(snippet(out), "README.md", "exec"), {})
  printed = capsys.readouterr().out
  assert len(printed.splitlines()) == (1 if architecture == READER else 2)
  assert ("fish" in printed or "tree" in printed) == (architecture == TAGGER)


def test_the_lines_of_a_card_of_pairs_run(tmp_path, monkeypatch, capsys):
  bundle = make_classifier(tmp_path / "bundle", pair=True)
  out = export.run(bundle=bundle, output=tmp_path / "out", format="onnx")
  monkeypatch.chdir(out)
  names = {}
  exec(compile(snippet(out), "README.md", "exec"), names)
  assert names["inputs"]["token_type_ids"].any()
  assert len(names["logits"]) == 1


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
  from launch.exports.onnx_card import _KINDS

  assert _lost(loss, _KINDS["BertForSequenceClassification"]) == (
    "accuracy is 89.50% and was 90.00%, 98.00% of the labels of texts are "
    "equal, outputs differ by at most 0.25"
  )
  assert _texts(loss) == (
    "90 of 1,200 texts, and calibrated on 256 others (3 of all were cut)"
  )
