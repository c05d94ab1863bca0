# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import csv

import pytest

from data_pipelines.tasks import csv_quotes
from data_pipelines.tasks.csv_quotes import OpenQuote
from data_pipelines.tasks.table_files import BadRow, Columns, read_rows

HEAD = "text,label\n"
GOOD = 'a 5" b,x\n"one ""two"", three\nand",y\n"",z\n'


def lines(text):
  return text.splitlines(keepends=True)


def test_what_csv_reads_has_no_wrong_quote():
  rows = list(csv.reader(lines(GOOD), strict=True))
  assert [len(row) for row in rows] == [2, 2, 2]
  assert csv_quotes.find(lines(GOOD), 1, ",") is None


@pytest.mark.parametrize(
  ("text", "found"),
  [
    ('"open,c\nd,e\n', OpenQuote(1, 0)),
    ('a,"b\nc,"d",e\n', OpenQuote(1, 2)),
    ('a,"b" c\n', OpenQuote(1, 1)),
    # A field of several lines that is well, and another quote behind it.
    ('"one\ntwo","three\nfour\n', OpenQuote(2, 0)),
    (GOOD + 'x,"y\n', OpenQuote(5, 0)),
  ],
)
def test_the_quote_that_is_open_is_found(text, found):
  with pytest.raises(csv.Error):
    list(csv.reader(lines(text), strict=True))
  assert csv_quotes.find(lines(text), 1, ",") == found


@pytest.mark.parametrize(
  ("text", "message"),
  [
    (
      'a,x\n"open,c\nd,e\nf,g\n',
      ":3 is not well-formed CSV: it opens a quote that is never closed; close "
      'it, or write a quote that is part of a text twice ("")',
    ),
    (
      '"one\ntwo",x\nb,"y\nd,e\n',
      ":4 is not well-formed CSV: it opens a quote that is never closed",
    ),
    (
      '"open,c\n"d",e\n',
      ":2 is not well-formed CSV: it opens a quote that is closed on line 3 "
      "before other text; close it",
    ),
  ],
)
def test_the_message_names_the_line_of_the_quote_and_the_fix(
  tmp_path, text, message
):
  path = tmp_path / "a.csv"
  path.write_text(HEAD + text)
  with pytest.raises(ValueError, match="not well-formed") as caught:
    list(read_rows(str(path), Columns(), ("text", "label")))
  assert str(caught.value).startswith(f"{path}{message}")
  assert "\n" not in str(caught.value)


def test_a_row_that_swallows_others_says_where_it_ends(tmp_path):
  path = tmp_path / "a.csv"
  path.write_text(f'{HEAD}"a,x\nb,y\nc",z,w\nd,v\n')
  bad, good = read_rows(str(path), Columns(), ("text", "label"))
  assert isinstance(bad, BadRow)
  assert bad.line == 2
  assert bad.wrong.endswith("it ends on line 4: is a quote open?")
  assert good.line == 5
