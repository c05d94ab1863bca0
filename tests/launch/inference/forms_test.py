# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The files of data sets are read as the model's task reads them."""

import json
import sys
from typing import Any

import pytest

from bertjax.checkpoints.bundle import Details
from data_pipelines.tasks.table_files import BadRow, Columns
from launch.inference import forms
from launch.inference.inputs import Example, Source, examine
from tests.testing import glue_folders, hub_datasets, hub_rows, squad_files

TAGGER = "BertForTokenClassification"
READER = "BertForQuestionAnswering"
CLASSIFIER = "BertForSequenceClassification"


def details(architecture, **task):
  return Details(
    pooler_trained=True,
    task={"architecture": architecture},
    config={"task": task} if task else None,
  )


def fit(path, model, form=None, split=None, columns_flag=""):
  source = Source(str(path), Columns())
  return forms.fit(source, model, form, split, columns_flag)


def write(path, text):
  path.write_text(text)
  return path


def rows_of(path, model, form=None, split=None) -> list[Any]:
  return [*fit(path, model, form, split).rows()]


def texts(source):
  return [row.texts for row in source.rows()]


def test_words_are_those_of_the_columns_with_tags_or_without(tmp_path):
  with_tags = write(
    tmp_path / "a.conll", "-DOCSTART-\n\nNew York\tO\n,\tO\n\ncod\tB-fish\n"
  )
  without = write(tmp_path / "words", "New\n,\n\ncod\n")
  found = [rows_of(p, details(TAGGER)) for p in (with_tags, without)]
  assert [row.words for row in found[0]] == [("New York", ","), ("cod",)]
  assert [row.texts for row in found[0]] == [("New York ,",), ("cod",)]
  assert [row.line for row in found[0]] == [3, 6]
  assert [row.words for row in found[1]] == [("New", ","), ("cod",)]
  third = write(tmp_path / "b.txt", "1 the O\n2 cod B-fish\n")
  model = details(TAGGER, kind="conll", word_column=1)
  (row,) = rows_of(third, model)
  assert row.words == ("the", "cod")


def test_a_sentence_without_a_word_is_bad_and_counted(tmp_path):
  path = write(tmp_path / "a.conll", "a\tO\n\tO\n\nb\tO\n")
  source = fit(path, details(TAGGER))
  first, second = source.rows()
  assert first == BadRow(1, "has no word in column 0 of line 2")
  assert not isinstance(second, BadRow)
  with pytest.raises(ValueError, match=r"a\.conll:1 has no word .*skip_bad"):
    examine(source)
  skipping = Source(source.path, source.columns, True, source.form)
  assert (examine(skipping).rows, examine(skipping).bad.count) == (1, 1)


def test_questions_have_their_context_and_id(tmp_path):
  path = squad_files.write(
    tmp_path / "a.json",
    ("The cod swims.", [("Who?", "cod"), (" ", "cod")]),
    ("An elm.", [("What?", ("elsewhere", 7))]),
    ids=True,
  )
  first, bad, last = rows_of(path, details(READER))
  assert (first.texts, first.id) == (("Who?", "The cod swims."), "q0")
  assert (last.line, last.id) == (3, "q2")
  assert bad.wrong.startswith("has no text in the column 'question'")
  whole = json.loads((tmp_path / "a.json").read_text())
  for paragraph in whole["data"][0]["paragraphs"]:
    for asked in paragraph["qas"]:
      del asked["answers"]
  path = write(tmp_path / "b.json", json.dumps(whole))
  assert rows_of(path, details(READER))[0].texts == first.texts


def test_the_original_files_of_glue_have_their_own_columns(tmp_path):
  root = glue_folders.make(tmp_path, 3)
  for name, title, width in (("cola", "CoLA", 1), ("stsb", "STS-B", 2)):
    model = details(CLASSIFIER, kind="glue", name=name)
    for split in ("dev", "test"):
      source = fit(root / title / f"{split}.tsv", model)
      assert [len(each) for each in texts(source)] == [width] * 3
  # The first sentence of CoLA is no header line.
  path = root / "CoLA" / "dev.tsv"
  first = path.read_text().splitlines()[0].split("\t")[3]
  assert texts(fit(path, details(CLASSIFIER), "glue/cola"))[0] == (first,)
  assert examine(fit(path, details(CLASSIFIER), "glue/cola")).rows == 3


def test_a_table_is_a_table_for_every_model(tmp_path):
  path = write(tmp_path / "a.tsv", "n\ttext\n1\tthe cod\n")
  for model in (
    *(details(TAGGER), details(READER), details(CLASSIFIER)),
    details(CLASSIFIER, kind="glue", name="cola"),
  ):
    assert texts(fit(path, model)) == [("the cod",)]
    assert fit(path, model).form is None
  for path in ("a.csv", "a.jsonl", "-", "hf:NAME:test"):
    assert fit(path, details(TAGGER)).form is None
  cola = details(CLASSIFIER, kind="glue", name="cola")
  named = fit(tmp_path / "b.tsv", cola, columns_flag="text_column")
  assert named.columns == Columns()


def test_rows_of_words_are_read_for_a_tagger(tmp_path):
  rows = [{"tokens": ["New York", ","], "ner_tags": [3, 0]}, {"tokens": []}]
  path = hub_rows.write_lines(tmp_path / "a.jsonl", rows)
  source = fit(path, details(TAGGER))
  first, bad = rows_of(path, details(TAGGER))
  assert (first.words, first.texts) == (("New York", ","), ("New York ,",))
  assert bad == BadRow(2, "has no words in the column 'tokens'")
  assert source.form
  assert source.form.name == "words:tokens"
  # The column is that of fine-tuning, or that of a flag.
  path = hub_rows.write_lines(tmp_path / "b.jsonl", [{"w": ["cod"]}])
  for source in (
    fit(path, details(TAGGER, kind="conll", words="w")),
    forms.fit(
      Source(path, Columns("w")), details(TAGGER), None, None, "text_column"
    ),
    forms.fit(
      Source(path, Columns("w")), details(TAGGER), "words", None, "text_column"
    ),
  ):
    (example,) = source.rows()
    assert isinstance(example, Example)
    assert example.words == ("cod",)
  # Texts that nobody has divided are a table.
  path = hub_rows.write_lines(tmp_path / "c.jsonl", [{"text": "the cod"}])
  assert texts(fit(path, details(TAGGER))) == [("the cod",)]
  assert fit(path, details(CLASSIFIER)).form is None


def test_rows_of_a_data_set_that_has_a_name_are_read(tmp_path, monkeypatch):
  pa = pytest.importorskip("pyarrow")
  asked = hub_rows.question("Who?", "The cod.", "cod")
  table = pa.table(
    {"tokens": [["cod"]], **{name: [value] for name, value in asked.items()}}
  )
  module = hub_datasets.package("owner/rows", {"test": table}, str(tmp_path))
  monkeypatch.setitem(sys.modules, "datasets", module)
  (tagged,) = rows_of("hf:owner/rows:test", details(TAGGER))
  assert (tagged.line, tagged.words) == (0, ("cod",))
  (answered,) = rows_of("hf:owner/rows:test", details(READER))
  assert (answered.texts, answered.id) == (("Who?", "The cod."), "q")


def test_rows_of_questions_are_read_for_a_model_that_answers(tmp_path):
  asked = hub_rows.question("Who?", "The cod.", "cod", id="q7")
  path = hub_rows.write_lines(
    tmp_path / "a.jsonl", [asked, {"question": "Why"}]
  )
  first, bad = rows_of(path, details(READER))
  assert (first.texts, first.id) == (("Who?", "The cod."), "q7")
  assert bad.wrong.startswith("has no column 'context'")
  named = forms.fit(
    Source(path, Columns("question", "", "context")),
    details(READER),
    None,
    None,
    "text_column",
  )
  assert named.form is None
  assert fit(path, details(CLASSIFIER)).form is None


def test_a_split_of_clinc_is_read_with_its_texts_out_of_scope(tmp_path):
  lists = {
    "train": [["a", "x"]],
    "val": [["b", "x"]],
    "test": [["c", "x"], ["", "x"], "d"],
    "oos_test": [["e", "oos"]],
  }
  path = write(tmp_path / "data_full.json", json.dumps(lists))
  model = details(CLASSIFIER, kind="clinc150")
  first, empty, wrong, last = rows_of(path, model)
  assert (first.texts, last.texts, last.line) == (("c",), ("e",), 3)
  assert empty.wrong.startswith("has no text")
  assert wrong == BadRow(2, "(test[2]) is not [text, intent]")
  assert texts(fit(path, model, split="dev")) == [("b",)]
  identities = [
    examine(fit(path, model, split=split)).identity
    for split in ("dev", "train")
  ]
  assert identities[0] != identities[1]


@pytest.mark.parametrize(
  ("name", "architecture", "given", "message"),
  [
    ("a.conll", CLASSIFIER, {}, "is for a model of BertForTokenClass.*; give"),
    ("a.x", TAGGER, {"form": "squad"}, "a model of BertForQuestionAnswering"),
    ("a.csv", CLASSIFIER, {"split": "dev"}, "--split=dev .*leave --split out"),
    ("-", TAGGER, {"form": "conll"}, "--input=- is none; leave --format out"),
    ("-", TAGGER, {"form": "words"}, "--input=- is none; leave --format out"),
    ("a", TAGGER, {"form": "words"}, "reads .jsonl, .* give --format=conll"),
    ("a.jsonl", CLASSIFIER, {"form": "words"}, "a model of BertForTokenCl"),
    (
      "hf:NAME:test",
      TAGGER,
      {"form": "words", "columns_flag": "choice_columns"},
      "--format=words has columns .*--choice_columns is given, too; give one",
    ),
    (
      "a.tsv",
      CLASSIFIER,
      {"form": "glue/cola", "columns_flag": "text_column"},
      "--format=glue/cola has columns .*--text_column is given, too; give one",
    ),
  ],
)
def test_a_form_that_does_not_fit_is_one_line(
  name, architecture, given, message
):
  with pytest.raises(ValueError, match=message) as error:
    fit(name, details(architecture), **given)
  assert "\n" not in str(error.value)
