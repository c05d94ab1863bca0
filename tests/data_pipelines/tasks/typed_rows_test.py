# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tables whose columns have types: parquet, TFDS and the hub."""

import json
import sys

import pytest

from data_pipelines.tasks import squad, tagged_rows, typed_rows
from data_pipelines.tasks.table_files import Columns, Row
from data_pipelines.tasks.tables import Rules, read_table
from tests.testing import hub_datasets, hub_rows

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

COLUMNS = Columns("text", "label")
SKIP = Rules(skip_bad_rows=True)


def write(tmp_path, columns, **options):
  path = tmp_path / "a.parquet"
  parquet.write_table(pa.table(columns), path, **options)
  return str(path)


def test_parquet_says_the_same_as_text(tmp_path):
  texts = [f"text {i}\twith\n'\"" for i in range(3_000)]
  labels = [i % 3 for i in range(3_000)]
  path = write(
    tmp_path,
    {
      "id": labels,
      "text": texts,
      "label": pa.array(labels).dictionary_encode(),
    },
    row_group_size=700,
  )
  table = read_table(path, COLUMNS)
  assert table.texts == tuple(texts)
  assert table.labels == tuple(map(str, labels))
  assert table.lines == tuple(range(1, 3_001))


def test_bad_rows_of_parquet_have_their_number(tmp_path):
  columns = {
    "text": ["a", None, " ", "d", "e"],
    "label": [1.5, 2.0, 3.0, None, float("nan")],
  }
  path = write(tmp_path, columns)
  with pytest.raises(ValueError, match=r"a.parquet:2 has null as 'text'"):
    read_table(path, COLUMNS)
  table = read_table(path, COLUMNS, SKIP)
  assert table.labels == ("1.5",)
  assert [line.split(" ")[0] for line in table.skipped] == [
    f"{path}:{row}" for row in (2, 3, 4, 5)
  ]


def test_a_text_of_parquet_that_is_not_utf8_is_a_bad_row(tmp_path):
  broken = pa.array([b"good", b"\xe9"]).view(pa.string())
  path = write(tmp_path, {"text": broken, "label": ["x", "y"]})
  with pytest.raises(ValueError, match=r"a.parquet:2 has a .* as 'text'"):
    read_table(path, COLUMNS)


def test_parquet_without_the_column_names_the_others(tmp_path):
  path = write(tmp_path, {"body": ["a"], "label": ["x"]})
  with pytest.raises(ValueError, match=r"no column 'text'; it has body, label"):
    read_table(path, COLUMNS)
  with pytest.raises(ValueError, match=r"there is no file .*nowhere\.parquet'"):
    read_table(str(tmp_path / "nowhere.parquet"), COLUMNS)


def test_labels_of_tfds_have_the_names_of_classes(prepared, monkeypatch):
  folder, _ = prepared
  monkeypatch.setattr(
    "tensorflow_datasets.core.constants.DATA_DIR", str(folder)
  )
  columns = Columns("title", "kind")
  table = read_table("tfds:tiny_notes/en:train", columns)
  assert len(table.texts) == 100
  of = dict(zip(table.texts, table.labels or (), strict=True))
  assert (of["t6"], of["t7"]) == ("even", "odd")
  # −1 is no label.
  unlabeled = read_table(
    "tfds:tiny_notes/en:test", columns, Rules(needs_labels=False)
  )
  assert unlabeled.labels is None
  assert unlabeled.lines[0] == 0
  with pytest.raises(ValueError, match=r"^tfds:tiny_notes:dev: Unknown split"):
    read_table("tfds:tiny_notes:dev", columns)
  with pytest.raises(ValueError, match=r"^tfds:tiny_notes names no split"):
    read_table("tfds:tiny_notes", columns)
  with pytest.raises(ValueError, match=r"no column 'body'; it has .*title"):
    read_table("tfds:tiny_notes:train", Columns("body", "kind"))


def test_sequences_and_structs_of_tfds_are_plain(prepared, monkeypatch):
  folder, _ = prepared
  monkeypatch.setattr(
    "tensorflow_datasets.core.constants.DATA_DIR", str(folder)
  )
  table = typed_rows.open_table(
    "tfds:tiny_notes/en:test", ("words", "tags", "answers")
  )
  rows = {row["words"][1]: row for row in table.rows}
  assert rows["3"] == {
    "words": ["t", "3"],
    "tags": ["O", "B-number"],
    "answers": {"text": ["3"], "answer_start": [1]},
  }
  file = tagged_rows.read_file(
    "tfds:tiny_notes/en:test", "words", "tags", False
  )
  assert (("t", "3"), ("O", "B-number")) in [e[:2] for e in file.examples]
  # What is not chosen may be a struct.
  assert "answers" not in next(
    typed_rows.open_table("tfds:tiny_notes/en:test", ("title",)).rows
  )


TAGS = ["O", "B-LOC", "I-LOC"]
TAGGED = {"tokens": [["New", "York"], ["a"]], "ner_tags": [[1, 2], [0]]}
WANTED = [(("New", "York"), ("B-LOC", "I-LOC")), (("a",), ("O",))]


def test_numbers_of_tags_of_the_hub_have_their_names(tmp_path, monkeypatch):
  file = tmp_path / "notes.arrow"
  file.write_bytes(bytes(4000))
  module = hub_datasets.package(
    "owner/tags", {"train": pa.table(TAGGED)}, str(file), {"ner_tags": TAGS}
  )
  monkeypatch.setitem(sys.modules, "datasets", module)
  read = tagged_rows.read_file(
    "hf:owner/tags:train", "tokens", "ner_tags", False
  )
  assert [each[:2] for each in read.examples] == WANTED
  assert read.examples[1].place == "hf:owner/tags:train:1"


@pytest.mark.parametrize(
  "sequence",
  [
    {"feature": {"names": TAGS, "_type": "ClassLabel"}, "_type": "List"},
    [{"names": TAGS, "_type": "ClassLabel"}],
  ],
)
def test_parquet_of_the_hub_notes_the_names_of_tags(tmp_path, sequence):
  noted = {"info": {"features": {"ner_tags": sequence, "tokens": 3}}}
  table = pa.table(TAGGED).replace_schema_metadata(
    {"huggingface": json.dumps(noted)}
  )
  path = str(tmp_path / "a.parquet")
  parquet.write_table(table, path)
  read = tagged_rows.read_file(path, "tokens", "ner_tags", False)
  assert [each[:2] for each in read.examples] == WANTED
  with pytest.raises(
    ValueError, match=r"a.parquet:1 has a number for the word"
  ):
    tagged_rows.read_file(write(tmp_path, TAGGED), "tokens", "ner_tags", False)


@pytest.mark.parametrize(
  ("sequence", "words"),
  [
    ([{"names": TAGS[:1], "_type": "ClassLabel"}], "a.parquet has the class"),
    ([], "a.parquet:1 has a number"),
  ],
)
def test_names_that_parquet_notes_amiss_are_an_error(tmp_path, sequence, words):
  noted = {"info": {"features": {"ner_tags": sequence}}}
  table = pa.table(
    {"tokens": [["a", "b"]], "ner_tags": [[0, 1]]}
  ).replace_schema_metadata({"huggingface": json.dumps(noted)})
  path = str(tmp_path / "a.parquet")
  parquet.write_table(table, path)
  with pytest.raises(ValueError, match=words):
    tagged_rows.read_file(path, "tokens", "ner_tags", False)


def test_questions_of_parquet_are_those_of_rows(tmp_path):
  row = hub_rows.question("Who?", "The cod.", "cod")
  path = write(tmp_path, {name: [value] for name, value in row.items()})
  (found,) = squad.read_file(path).examples
  assert found == squad.Question(
    "Who?", "The cod.", (squad.Answer("cod", 4),), f"{path}:1"
  )
  (asked,) = squad.read_unanswered(path)
  assert asked == Row(1, {"question": "Who?", "context": "The cod.", "id": "q"})


@pytest.fixture
def hub(tmp_path, monkeypatch):
  file = tmp_path / "notes.arrow"
  file.write_bytes(bytes(4000))
  splits = {
    name: pa.table({"text": ["a", "b"], "label": pa.array(labels, pa.int64())})
    for name, labels in (("train", [1, 0]), ("test", [-1, -1]))
  }
  module = hub_datasets.package(
    "owner/notes", splits, str(file), {"label": ["no", "yes"]}
  )
  monkeypatch.setitem(sys.modules, "datasets", module)


def test_labels_of_the_hub_have_the_names_of_classes(hub):
  table = read_table("hf:owner/notes:train", COLUMNS)
  assert table.labels == ("yes", "no")
  assert read_table("hf:owner/notes:train[1:]", COLUMNS).texts == ("b",)
  with pytest.raises(ValueError, match=r":0 is empty in the label column"):
    read_table("hf:owner/notes:test", COLUMNS)
  rules = Rules(needs_labels=False)
  assert read_table("hf:owner/notes:test", COLUMNS, rules).labels is None
  with pytest.raises(ValueError, match=r"^hf:nowhere:train cannot be loaded"):
    read_table("hf:nowhere:train", COLUMNS)
