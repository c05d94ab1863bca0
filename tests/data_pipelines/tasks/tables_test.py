# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from data_pipelines.tasks.tables import Columns, read_table

COLUMNS = Columns(text="text", label="category")
CSV = 'text,category\n"a, b",x\n"two\nlines",y\nlast,x\n'


def write(tmp_path, name, text):
  path = tmp_path / name
  path.write_bytes(text if isinstance(text, bytes) else text.encode())
  return str(path)


def message(path, columns=COLUMNS):
  with pytest.raises(ValueError, match=r"\S") as caught:
    read_table(path, columns)
  assert "\n" not in str(caught.value)
  return str(caught.value)


def test_the_three_formats_say_the_same(tmp_path):
  rows = [("one, two", "x"), ('she said "no"', "y"), ("três", "x")]
  csv = "category,other,text\n" + "".join(
    f'{label},0,"{text.replace(chr(34), chr(34) * 2)}"\n'
    for text, label in rows
  )
  tsv = "text\tcategory\r\n" + "".join(f"{t}\t{c}\r\n" for t, c in rows)
  lines = "\n\n".join(json.dumps({"text": t, "category": c}) for t, c in rows)
  tables = [
    read_table(write(tmp_path, name, text), COLUMNS)
    for name, text in [
      ("a.csv", "\ufeff" + csv),
      ("a.tsv", tsv),
      ("a.jsonl", lines),
    ]
  ]
  for table in tables:
    assert list(zip(table.texts, table.labels, strict=True)) == rows
    assert table.pairs is None


def test_rows_know_the_line_they_begin_on(tmp_path):
  table = read_table(write(tmp_path, "a.csv", CSV), COLUMNS)
  assert table.texts == ("a, b", "two\nlines", "last")
  assert table.lines == (2, 3, 5)


def test_a_header_may_be_given_and_pairs_are_read(tmp_path):
  path = write(tmp_path, "a.tsv", 'q1\t"quoted\tyes\n')
  columns = Columns("a", "c", "b", header=("a", "b", "c"))
  table = read_table(path, columns)
  assert table.texts == ("q1",)
  assert table.pairs == ('"quoted',)
  assert table.lines == (1,)


@pytest.mark.parametrize(
  ("name", "text", "words"),
  [
    ("a.csv", "", ["a.csv is empty"]),
    ("a.csv", "text,category\n", ["a.csv has no rows"]),
    ("a.jsonl", "\n", ["a.jsonl has no rows"]),
    ("a.csv", "text,label\na,b\n", ["'category'", "text, label"]),
    ("a.csv", "text,category,text\na,b,c\n", ["2 columns 'text'"]),
    ("a.csv", "text,category\na\n", [":2 has 1 fields", "text, category"]),
    ("a.csv", 'text,category\na,b\n"open,c\n', [":3", "not well-formed"]),
    ("a.csv", b"text,category\na,b\ncaf\xe9,b\n", [":3", "UTF-8", "0xe9"]),
    ("a.csv", b"\xef\xbb\xbftext\n\xff", [":2", "0xff"]),
    ("a.tsv", "text\tcategory\na\t \n", [":2", "label column 'category'"]),
    ("a.jsonl", '{"text": "a"}', [":1 has no column 'category'", "text"]),
    ("a.jsonl", '\n{"text": \n', [":2 is not JSON"]),
    ("a.jsonl", "[1]", [":1 holds a list"]),
    ("a.jsonl", '{"text": 1, "category": 1}', [":1: 'text' is a int"]),
    ("a.parquet", "x", ["'.parquet'", ".csv, .tsv and .jsonl"]),
  ],
)
def test_a_bad_table_is_one_line_with_its_place(tmp_path, name, text, words):
  line = message(write(tmp_path, name, text))
  assert name in line
  for word in words:
    assert word in line


def test_a_missing_table_is_named(tmp_path):
  assert "nowhere.csv" in message(str(tmp_path / "nowhere.csv"))
