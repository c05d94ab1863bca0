# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from data_pipelines.corpora import arrow_columns
from data_pipelines.corpora.reading import ReadCounts, ReadOptions

pa = pytest.importorskip("pyarrow")


def test_a_column_is_named_once_and_is_text():
  fields = [("id", pa.int64()), ("text", pa.string()), ("body", pa.string())]
  schema = pa.schema([*fields, ("body", pa.string())])
  arrow_columns.check("a", schema, "text")
  for name, message in (
    ("title", r"a has no column title \(it has id, text, body, body\)"),
    ("body", "a has several columns body"),
    ("id", "a: column id is int64, not string"),
  ):
    with pytest.raises(ValueError, match=message):
      arrow_columns.check("a", schema, name)


def test_a_row_without_text_is_named_or_counted():
  broken = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
  column = pa.concat_arrays([pa.array(["one", None]), broken, pa.array(["4"])])
  counts = ReadCounts()
  options = ReadOptions(skip_bad_records=True)
  found = list(arrow_columns.documents("a", 10, column, options, counts))
  assert found == [("a:11", "one"), ("a:14", "4")]
  assert counts.skipped == 2
  for rows, message in (
    (column, r"a:2: no text \(null\)"),
    (broken, "a:1: not"),
  ):
    with pytest.raises(ValueError, match=message):
      list(arrow_columns.documents("a", 0, rows, ReadOptions(), ReadCounts()))
