# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The code of each card runs, and gives what the head gives."""

import ast
import re
from typing import Any

import pytest

from launch import export
from tests.testing.exports import HEADS, make_head, snippet
from tests.testing.huggingface_models import LABELS


def check_chances(told):
  lines = [line.rpartition(" ") for line in told.splitlines()]
  assert tuple(label for label, _, _ in lines) == LABELS
  assert all(0 <= float(chance.rstrip("%")) <= 100 for *_, chance in lines)


def check_tags(told):
  assert set(ast.literal_eval(told)) <= set(LABELS)


SAYS = {
  "single_label": ("classifies texts into 3 labels", LABELS.__contains__),
  "multi_label": ("gives texts any of 3 labels", check_chances),
  "score": ("gives pairs of texts a score", float),
  "tokens": ("gives tokens 3 labels", check_tags),
  "answers": ("finds the answer in a text", str),
  "choice": (
    "chooses one of several endings",
    ("It rains.", "It snows.").__contains__,
  ),
}
PIPELINES = {
  "tokens": "token-classification",
  "answers": "question-answering",
  "choice": "multiple-choice",
}


@pytest.mark.parametrize("name", HEADS)
def test_the_card_of_a_head_runs(name, tmp_path, monkeypatch, capsys):
  pytest.importorskip("torch")
  pytest.importorskip("transformers")
  bundle = make_head(tmp_path / "bundle", name)
  folder = export.run(bundle=bundle, output=tmp_path / "out")
  card = (folder / "README.md").read_text()
  summary, check = SAYS[name]
  assert summary in card
  (pipeline,) = re.findall(r"^pipeline_tag: (.+)$", card, re.MULTILINE)
  assert pipeline == PIPELINES.get(name, "text-classification")
  tuned = "- settings of its answers: null_threshold -1.5, stride 4\n"
  assert (tuned in card) == (name == "answers")
  monkeypatch.chdir(folder)
  names: dict[str, Any] = {}
  exec(snippet(folder), names)
  assert check(capsys.readouterr().out.strip()) is not False
  if HEADS[name].pair and name != "choice":
    assert names["inputs"]["token_type_ids"].max() == 1
