# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A float32 graph has the scores of launch.evaluate, whatever the task."""

import csv
import dataclasses
import json
import logging
import re
from typing import Any

import numpy as np
import pytest

from bertjax.config import FinetuneConfig, TaskConfig, to_mapping
from bertjax.finetune.artifact import save_finetuned
from bertjax.finetune.task import Head
from bertjax.interop.outputs import MULTI_LABEL, REGRESSION
from data_pipelines.tokenizers import tokenizers
from launch import evaluate, export
from launch.exports import onnx_card, onnx_texts
from launch.exports.formats import Options
from launch.exports.trained import read_bundle
from launch.preflight.policy import DEFAULT, Policy
from tests.testing import small, squad_files
from tests.testing.exports import make_bundle
from tests.testing.huggingface_models import make_params

pytestmark = pytest.mark.usefixtures("small_programs")

NAMES = ("fish", "tree")
TAGS = ("O", "B-fish", "I-fish", "B-tree")
WINDOWS = {"stride": 4, "pool_max": 0.0}


def texts(count=24, repeat=1):
  draw = np.random.default_rng(5)
  words = small.TOKENS[6:12] + small.TOKENS[14:]
  return [
    " ".join(draw.choice(words, int(draw.integers(2, 9)) * repeat))
    for _ in range(count)
  ]


def write_rows(path, columns, rows):
  with path.open("w", newline="") as file:
    csv.writer(file).writerows([columns, *rows])


def write_labels(path, repeat=1):
  labels = [NAMES[number % 3 % 2] for number in range(24)]
  rows = zip(texts(repeat=repeat), labels, strict=True)
  write_rows(path, ("said", "kind"), rows)


def write_sets(path):
  sets = ("fish", "tree", "fish,tree", "")
  rows = [(text, sets[n % 4]) for n, text in enumerate(texts())]
  write_rows(path, ("said", "kind"), rows)


def write_scores(path):
  rows = [(text, n % 7 / 2 + 0.25) for n, text in enumerate(texts())]
  write_rows(path, ("said", "kind"), rows)


def write_choices(path):
  said = texts(72)
  rows = [(*said[n : n + 3], n % 2) for n in range(0, 72, 3)]
  write_rows(path, ("said", "one", "other", "kind"), rows)


def write_tags(path):
  draw = np.random.default_rng(1)
  path.write_text(
    "\n\n".join(
      "\n".join(
        f"{word} {TAGS[int(tag)]}"
        for word, tag in zip(
          text.split(), draw.integers(0, 4, 99), strict=False
        )
      )
      for text in texts(repeat=3)
    )
  )


def write_questions(path):
  paragraphs = [
    (text, [("a the", text.split()[-1] if n % 3 else None)])
    for n, text in enumerate(texts(repeat=3))
  ]
  squad_files.write(path, *paragraphs)


TABLE = TaskConfig(kind="table", train="gone.csv", text="said", label="kind")
# The head, what was read in fine-tuning, and a file of that form.
KINDS = {
  "one_label": (
    Head("words", NAMES, "cls", 12, False, task="classification"),
    TABLE,
    ("labels.csv", write_labels),
  ),
  "windows": (
    Head("words", NAMES, "mean", 12, False, settings=WINDOWS),
    dataclasses.replace(TABLE, long_texts="mean", stride=4),
    ("long.csv", lambda path: write_labels(path, repeat=3)),
  ),
  "several_labels": (
    Head("words", NAMES, "cls", 12, False, problem_type=MULTI_LABEL),
    dataclasses.replace(TABLE, target="labels"),
    ("sets.csv", write_sets),
  ),
  "score": (
    Head("words", ("kind",), "cls", 12, False, problem_type=REGRESSION),
    dataclasses.replace(TABLE, target="score"),
    ("scores.csv", write_scores),
  ),
  "choice": (
    Head("words", (), "cls", 12, True, "BertForMultipleChoice"),
    dataclasses.replace(TABLE, target="choice", choices="one,other"),
    ("choices.csv", write_choices),
  ),
  "tags": (
    Head(
      *("words", TAGS, "", 12, False, "BertForTokenClassification"),
      settings={"stride": 4},
    ),
    TaskConfig(kind="conll", train="gone.conll", stride=4),
    ("tags.conll", write_tags),
  ),
  "answers": (
    Head(
      *("words", (), "", 12, True, "BertForQuestionAnswering"),
      settings={
        "stride": 4,
        "max_question_length": 4,
        "max_answer_length": 5,
        "null_answers": 1,
        "null_threshold": 0.1,
      },
    ),
    TaskConfig(kind="squad", train="gone.json", stride=4),
    ("answers.json", write_questions),
  ),
}


def make_model(folder, name, task=None):
  """Write a model with random weights that records how it was made."""
  head, own, _ = KINDS[name]
  params = make_params(head.architecture, small.MODEL, head.outputs)
  if head.pooling == "mean":
    del params["pooler"]
  config = FinetuneConfig(
    task=task or own, seq_length=12, steps=1, epochs=0.0, seeds=1
  )
  save_finetuned(
    folder / "model",
    params,
    small.MODEL,
    small.make_tokenizer(folder / "tokenizer"),
    head,
    step=1,
    config=to_mapping(config),
  )
  return str(folder / "model")


def write_file(folder, name):
  file, write = KINDS[name][2]
  write(folder / file)
  return str(folder / file)


def read(bundle, path, policy=DEFAULT, **options):
  trained = read_bundle(bundle)
  return onnx_texts.read(
    Options(calibration=path, **options),
    trained,
    tokenizers.load(trained.tokenizer_path),
    12,
    policy,
  )


@pytest.mark.parametrize(
  ("name", "way"),
  [
    *((name, "dynamic") for name in KINDS),
    # A text of several rows.
    *((name, "static") for name in ("windows", "choice")),
  ],
)
def test_a_float32_graph_has_the_scores_of_launch_evaluate(
  name, way, tmp_path, monkeypatch, capsys
):
  bundle, path = make_model(tmp_path, name), write_file(tmp_path, name)
  cards = []
  make_card = onnx_card.make_card
  monkeypatch.setattr(
    onnx_card,
    "make_card",
    lambda page, *rest: cards.append(page) or make_card(page, *rest),
  )
  out = export.run(
    bundle=bundle,
    output=tmp_path / "out",
    format="onnx",
    options=Options(quantize=way, calibration=path),
  )
  loss = cards[0].quantized.loss
  card = (out / "README.md").read_text()
  for score in loss.scores.exact:
    assert f"\n| {score} " in card
  exact, narrow = loss.scores.judged
  assert f"{loss.scores.metric} is {narrow:.4f} and was {exact:.4f}" in card
  assert f"| {loss.scores.metric} " in capsys.readouterr().out
  assert loss.scores.exact != loss.scores.narrow
  if way == "static":
    assert (loss.texts, loss.calibrated) == (12, 12)
    return
  assert (loss.texts, loss.total) == (24, 24)
  expected = evaluate.evaluate(bundle, split=path).scores
  assert loss.scores.exact == pytest.approx(expected, abs=1e-5)


def test_a_score_that_falls_is_a_finding_of_the_policy(tmp_path, caplog):
  bundle = make_model(tmp_path, "one_label")
  options = Options(
    quantize="dynamic",
    calibration=write_file(tmp_path, "one_label"),
    # A fall of nothing is too much, too.
    policy=Policy(thresholds={"quantized_score.warn": -1.0}),
  )
  out = tmp_path / "out"
  export.run(bundle=bundle, output=out, format="onnx", options=options)
  assert "accuracy falls from 0." in caplog.text
  fix = "limit -100%); fix: use model.onnx, or try --quantize=static"
  assert fix in caplog.text
  (warning,) = re.findall(r"- Warning: .*", (out / "README.md").read_text())
  assert warning.startswith("- Warning: Accuracy falls from 0.")
  assert warning.endswith(f"{fix}.")
  assert options.policy is not None
  strict = dataclasses.replace(
    options.policy, strict=frozenset(["quantized_score"])
  )
  with pytest.raises(ValueError, match=r"falls from .*--allow=quantized_score"):
    export.run(
      bundle=bundle,
      output=tmp_path / "other",
      format="onnx",
      options=dataclasses.replace(options, policy=strict),
    )
  assert not (tmp_path / "other").exists()


def test_a_file_without_labels_is_read_alone_and_that_is_told(tmp_path, caplog):
  bundle = make_model(tmp_path, "one_label")
  write_rows(tmp_path / "a.csv", ("said", "other"), [("the cod", "fish")] * 3)
  path = str(tmp_path / "a.csv")
  assert read(bundle, path).labeled is None
  assert (
    "what the scores of words lose is not measured: "
    f"{path} has no column 'kind'; give the column of labels as --label_column"
  ) in caplog.text
  found = read(bundle, path, label_column="other")
  assert found.labeled is not None
  assert found.labeled.windows["label_N"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", ["glue", ""])
def test_another_reader_takes_a_table_with_a_label_column(
  kind, tmp_path, caplog
):
  own = TaskConfig(kind="glue", name="cola", folder="gone") if kind else None
  bundle = make_model(tmp_path, "one_label", own)
  path = write_file(tmp_path, "one_label")
  if kind:
    with caplog.at_level(logging.WARNING):
      assert read(bundle, path, text_column="said").labeled is None
    assert "give the column of labels as --label_column" in caplog.text
  found = read(bundle, path, text_column="said", label_column="kind")
  assert found.labeled is not None
  assert len(found) == 24


def test_rows_that_cannot_be_used_are_told(tmp_path, caplog):
  bundle = make_model(tmp_path, "one_label")
  path = write_file(tmp_path, "one_label")
  with open(path, "a") as file:
    file.write("the ship,ship\n")
  found = read(bundle, path)
  assert (len(found), found.total) == (24, 24)
  assert "1 of 25 rows are left out" in caplog.text
  assert "has the label 'ship'" in caplog.text
  with pytest.raises(ValueError, match="1 of 25 rows are left out"):
    read(bundle, path, Policy(strict=frozenset(["skipped_rows"])))


@pytest.mark.parametrize(
  ("name", "options", "words"),
  [
    ("tags", {"label_column": "kind"}, "reads files of words with tags; leave"),
    (
      "answers",
      {"label_column": "a"},
      "the model reads files of questions; leave",
    ),
    (
      "one_label",
      {"text_pair_column": "said"},
      "reads single texts; leave out --text_pair_column",
    ),
    ("one_label", {"text_column": "text"}, "has no column 'text'; it has said"),
  ],
)
def test_what_does_not_fit_is_one_line(name, options, words, tmp_path):
  bundle = make_model(tmp_path, name)
  with pytest.raises(ValueError, match=words) as caught:
    read(bundle, write_file(tmp_path, name), **options)
  assert "\n" not in str(caught.value)


def test_a_pretrained_model_has_no_labels(tmp_path):
  bundle = make_bundle(tmp_path / "bundle")
  path = small.write_table(tmp_path / "t.jsonl", small.make_texts(4, 0))
  assert read(bundle, path).labeled is None
  with pytest.raises(ValueError, match="a pre-trained model has none; leave"):
    read(bundle, path, label_column="label")


@pytest.mark.parametrize("name", ["tags", "answers"])
def test_a_table_of_texts_is_read_alone_by_a_model_of_other_files(
  name, tmp_path, caplog
):
  bundle = make_model(tmp_path, name)
  write_rows(tmp_path / "a.csv", ("text", "pair"), [("the cod", "the elm")] * 3)
  pair: dict[str, Any] = (
    {"text_pair_column": "pair"} if name == "answers" else {}
  )
  assert read(bundle, str(tmp_path / "a.csv"), **pair).labeled is None
  assert "is a table of texts; give a file as for" in caplog.text


@pytest.mark.parametrize(
  ("name", "row"),
  [
    ("tags", {"tokens": ["the", "cod"], "ner_tags": ["O", "B-fish"]}),
    (
      "answers",
      {
        "question": "a the",
        "context": "the cod by the river",
        "answers": {"text": ["cod"], "answer_start": [4]},
      },
    ),
  ],
)
def test_rows_of_a_data_set_are_labeled_if_they_have_the_column(
  name, row, tmp_path, caplog
):
  bundle, path = make_model(tmp_path, name), tmp_path / "rows.jsonl"
  path.write_text(f"{json.dumps(row)}\n" * 3)
  found = read(bundle, str(path))
  assert found.labeled is not None
  assert len(found) == 3
  path.write_text(json.dumps({"text": "the cod", "pair": "an elm"}) + "\n")
  pair: dict[str, Any] = (
    {"text_pair_column": "pair"} if name == "answers" else {}
  )
  assert read(bundle, str(path), **pair).labeled is None
