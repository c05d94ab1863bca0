# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import pytest

from data_pipelines.tasks.table_files import Columns
from data_pipelines.tasks.tables import Rules, read_table

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
    assert table.labels is not None
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
    ("a.jsonl", '{"text": 1, "category": 1}', [":1 has a number as 'text'"]),
    ("a.jsonl", '{"text": "a", "category": [1]}', ["a list as 'category'"]),
    ("a.jsonl", '{"text": "a", "category": null}', [":1", "is empty in"]),
    ("a.jsonl", "[" * 200_000, [":1 is not JSON", "recursion"]),
    ("a.jsonl", "1" * 5_000, [":1 is not JSON", "limit"]),
    ("a.csv", "text,category\n ,x\n", [":2 has no text in", "'text'"]),
    ("a.csv", "text,category\na,-1\n", [":2", "the label -1", "unlabeled=''"]),
    ("a.xlsx", "x", ["'.xlsx'", ".csv, .tsv, .txt, .jsonl and .parquet"]),
    ("a.parquet", "x", ["a.parquet is damaged, truncated or not a parquet"]),
  ],
)
def test_a_bad_table_is_one_line_with_its_place(tmp_path, name, text, words):
  line = message(write(tmp_path, name, text))
  assert name in line
  for word in words:
    assert word in line


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_what_names_a_column_is_told_where_it_is_missing(tmp_path, name):
  text = '{"text": "a", "of": "b"}\n'
  if name == "a.csv":
    text = "text,of\na,b\n"
  path = write(tmp_path, name, text)
  flags = {"text": "--body", "label": "--about", "text_pair": "--other"}
  for columns, flag in (
    (Columns("x", "text", flags=flags), "--body"),
    (Columns("text", "x", flags=flags), "--about"),
    (Columns("text", "of", "x", flags=flags), "--other"),
  ):
    with pytest.raises(ValueError, match=f"'x'; it has text, of; give {flag}="):
      read_table(path, columns)
  for columns, both in (
    (Columns("text", "text", flags=flags), "--body and --about"),
    (Columns("text", "of", "text", flags=flags), "--body and --other"),
    (Columns("text", "of", "of", flags=flags), "--other and --about"),
  ):
    with pytest.raises(ValueError, match=f"is given twice, by {both}; give an"):
      read_table(path, columns)


def test_a_missing_table_is_named(tmp_path):
  assert "nowhere.csv" in message(str(tmp_path / "nowhere.csv"))


def test_labels_lose_the_white_space_around_them(tmp_path):
  text = "text,category\na,spam \nb,spam\nc, ham\n"
  table = read_table(write(tmp_path, "a.csv", text), COLUMNS)
  assert table.labels == ("spam", "spam", "ham")
  assert table.stripped_labels == 2


def test_rows_that_are_skipped_are_counted_and_named(tmp_path):
  path = write(tmp_path, "a.csv", "text,category\na,x\n,x\nb\nc,-1\nd,\n")
  message_of_first = message(path)
  assert ":3 has no text" in message_of_first
  assert "4 rows are bad in all" in message_of_first
  assert "give --config.task.skip_bad_rows" in message_of_first
  table = read_table(path, COLUMNS, Rules(skip_bad_rows=True))
  assert table.texts == ("a",)
  assert [line.split(" ")[0] for line in table.skipped] == [
    f"{path}:{line}" for line in (3, 4, 5, 6)
  ]


def test_a_table_of_bad_rows_alone_is_refused(tmp_path):
  path = write(tmp_path, "a.csv", "text,category\n,x\n")
  with pytest.raises(ValueError, match=r"no rows that can be used; .*:2 has"):
    read_table(path, COLUMNS, Rules(skip_bad_rows=True))


@pytest.mark.parametrize(
  "text", ["text,category\na,-1\nb,-1\n", "text,category\na,\n", "text\na\n"]
)
def test_a_table_may_have_no_label_at_all(tmp_path, text):
  path = write(tmp_path, "a.csv", text)
  message(path)
  table = read_table(path, COLUMNS, Rules(needs_labels=False))
  assert table.labels is None
  assert table.texts[0] == "a"


def test_some_rows_without_a_label_are_bad(tmp_path):
  path = write(tmp_path, "a.csv", "text,category\na,-1\nb,0\n")
  with pytest.raises(ValueError, match=r":2 has the label -1"):
    read_table(path, COLUMNS, Rules(needs_labels=False))
  table = read_table(path, COLUMNS, Rules(unlabeled=""))
  assert table.labels == ("-1", "0")


LABELS = "text,category\na,yes\nb,-\nc,maybe\nd,no\n"


def test_a_label_that_there_is_not_is_a_bad_row(tmp_path):
  path = write(tmp_path, "a.csv", LABELS)
  rules = Rules(labels=("no", "yes"), undecided="-")
  with pytest.raises(
    ValueError, match=r":4 has the label 'maybe'; give one of"
  ):
    read_table(path, COLUMNS, rules)
  table = read_table(
    path, COLUMNS, dataclasses.replace(rules, skip_bad_rows=True)
  )
  assert table.labels == ("yes", "no")
  assert [line.split(" ")[0] for line in table.skipped] == [
    f"{path}:3",
    f"{path}:4",
  ]


def test_undecided_rows_are_left_out_and_counted_in_any_case(tmp_path):
  path = write(tmp_path, "a.csv", LABELS.replace("c,maybe\n", ""))
  table = read_table(path, COLUMNS, Rules(undecided="-"))
  assert table.labels == ("yes", "no")
  (line,) = table.skipped
  assert line == f"{path}:3 has the label '-', which decides nothing"


@pytest.mark.parametrize(
  ("label", "words"),
  [
    ("high", "label 'high'; give a number from 0 to 5"),
    ("5.25", "score 5.25; give a number from 0 to 5"),
    ("nan", "score nan"),
    ("-1", "score -1"),
  ],
)
def test_scores_are_numbers_in_their_range(tmp_path, label, words):
  path = write(tmp_path, "a.csv", f"text,category\na,3.8\nb,{label}\n")
  with pytest.raises(ValueError, match=f":3 has the {words}"):
    read_table(path, COLUMNS, Rules(unlabeled="", scores=(0, 5)))


def test_a_list_for_a_label_names_the_target_of_several(tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_text('{"text": "a", "label": ["x", "y"]}\n')
  with pytest.raises(ValueError, match=r":1 .*--config.task.target=labels"):
    read_table(str(path), Columns())
