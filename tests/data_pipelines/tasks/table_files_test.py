# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files of tables as they are distributed."""

import pytest

from data_pipelines.tasks.table_files import BadRow, Columns, read_rows
from tests.testing.memory import peak_bytes

QUORA = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
QUESTIONS = Columns("question1", "is_duplicate", "question2")


def read(tmp_path, name, text, columns):
  path = tmp_path / name
  path.write_bytes(text.encode())
  wanted = (*columns.texts, columns.label)
  return list(read_rows(str(path), columns, wanted))


def values(rows, *names):
  return [tuple(row.fields[name] for name in names) for row in rows]


def test_a_field_of_any_length_is_read(tmp_path):
  text = "word " * 30_000
  rows = read(tmp_path, "a.csv", f"text,label\n{text},x\n", Columns())
  assert values(rows, "text") == [(text,)]


def test_quotes_of_glue_are_characters(tmp_path):
  # MRPC: a byte-order mark, and quotes that are never closed.
  text = (
    "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
    '1\t1\t2\t"It is , " he said .\tHe said it .\r\n'
    '0\t3\t4\tA "b" c .\t" D\r\n'
  )
  columns = Columns("#1 String", "Quality", "#2 String")
  for name in ("train.tsv", "msr_paraphrase_train.txt"):
    rows = read(tmp_path, name, text, columns)
    assert values(rows, "Quality", "#1 String", "#2 String") == [
      ("1", '"It is , " he said .', "He said it ."),
      ("0", 'A "b" c .', '" D'),
    ]


def test_rows_of_qqp_without_all_fields_are_bad_rows(tmp_path):
  text = QUORA + '1\t2\t3\tWhat is "a\tWhat is b?\t0\n4\t5\t6\tWhat?\n'
  good, bad = read(tmp_path, "train.tsv", text, QUESTIONS)
  assert values([good], "question1") == [('What is "a',)]
  assert isinstance(bad, BadRow)
  assert bad.line == 3
  assert "has 4 fields" in bad.wrong


def test_quoted_fields_of_quoras_own_file_are_joined(tmp_path):
  text = QUORA + (
    '1\t2\t3\t"What is ""a""?"\t"Two\nlines, a\ttab"\t0\n4\t5\t6\tc\td\t1\n'
  )
  rows = read(tmp_path, "quora_duplicate_questions.tsv", text, QUESTIONS)
  assert values(rows, "question1", "question2", "is_duplicate") == [
    ('What is "a"?', "Two\nlines, a\ttab", "0"),
    ("c", "d", "1"),
  ]
  assert [row.line for row in rows] == [2, 4]


def test_a_header_line_wins_over_a_given_header(tmp_path):
  # CoLA: only the test split has a header line, and other columns.
  columns = Columns(
    "sentence", "label", "", ("source", "label", "m", "sentence")
  )
  rows = read(tmp_path, "train.tsv", "gj04\t1\t\tOne.\n", columns)
  assert values(rows, "sentence", "label") == [("One.", "1")]
  path = tmp_path / "test.tsv"
  path.write_text("index\tsentence\n0\tTwo.\n")
  rows = list(read_rows(str(path), columns, columns.texts))
  assert values(rows, "index", "sentence") == [("0", "Two.")]


def test_a_csv_that_is_divided_by_tabs_is_read(tmp_path):
  # The original files of STS-B.
  text = "main\tMSRvid\t2012\t0001\t5.000\tA plane.\tAn air plane, too.\n"
  header = ("genre", "file", "year", "id", "score", "s1", "s2")
  rows = read(
    tmp_path, "sts-dev.csv", text, Columns("s1", "score", "s2", header)
  )
  assert values(rows, "score", "s2") == [("5.000", "An air plane, too.")]


@pytest.mark.parametrize("name", ["a.CSV", "a.csv"])
def test_suffixes_are_read_in_either_case(tmp_path, name):
  assert len(read(tmp_path, name, "text,label\na,b\n", Columns())) == 1


def test_quotes_can_be_characters_in_any_case(tmp_path):
  # Joined at its quotes, every row would have two fields.
  text = 'text\tlabel\n"a\t0\nb\tc"\t1\n'
  first, last = read(
    tmp_path, "a.tsv", text, Columns("text", "label", quotes=False)
  )
  assert values([first], "text", "label") == [('"a', "0")]
  assert isinstance(last, BadRow)
  (joined,) = read(tmp_path, "a.tsv", text, Columns("text", "label"))
  assert values([joined], "text") == [("a\t0\nb\tc",)]


def test_a_csv_of_one_column_is_no_file_of_tabs(tmp_path):
  text = 'text\r\n"a ""b"", c"\r\n'
  path = tmp_path / "a.csv"
  path.write_bytes(text.encode())
  assert values(read_rows(str(path), Columns(), ("text",)), "text") == [
    ('a "b", c',)
  ]


def test_a_lone_carriage_return_ends_a_line_of_csv(tmp_path):
  rows = read(tmp_path, "a.csv", "text,label\ra,x\rb,y\r", Columns())
  assert values(rows, "text", "label") == [("a", "x"), ("b", "y")]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_rows_are_read_one_by_one(tmp_path, name):
  row = {"a.csv": "a,x\n", "a.tsv": "a\tx\n"}.get(
    name, '{"text": "a", "label": "x"}\n'
  )
  header = {"a.csv": "text,label\n", "a.tsv": "text\tlabel\n"}.get(name, "")
  path = tmp_path / name
  path.write_bytes(header.encode() + row.encode() * 100_000)

  def read():
    rows = read_rows(str(path), Columns(), ("text", "label"))
    assert sum(1 for _ in rows) == 100_000

  assert peak_bytes(read, enough=200_000) < 200_000


def test_a_line_that_is_not_utf_8_is_named(tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_bytes(b'{"text": "a"}\n{"text": "\xff"}\n')
  with pytest.raises(ValueError, match=r"a\.jsonl:2 is not UTF-8 \(byte 0xff"):
    list(read_rows(str(path), Columns(), ("text",)))
