# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import csv
import io

import pytest

from data_pipelines.corpora import lines
from data_pipelines.corpora.corpus import Corpus
from tests.testing.memory import peak_bytes


def texts(path, **options):
  return [document.text for document in Corpus(str(path), **options)]


ROWS = [
  "one",
  'he said "no", and left',
  "two\nlines and\ttabs",
  "",
  "é" * 150_000,  # csv's own limit is 131,072
  "form\x0cfeed",
]


def written(rows):
  stream = io.StringIO(newline="")
  writer = csv.writer(stream)
  writer.writerow(["id", "text"])
  writer.writerows(enumerate(rows))
  return stream.getvalue()


def test_a_column_of_csv_is_read_with_fields_of_any_length(tmp_path):
  path = tmp_path / "a.csv"
  path.write_bytes(b"\xef\xbb\xbf" + written(ROWS).encode())
  corpus = Corpus(str(path))
  expected = [row.replace("\x0c", "\n") for row in ROWS if row]
  assert [document.text for document in corpus] == expected
  assert corpus.counts.empty == 1
  assert next(iter(corpus)).name == f"{path}:2"
  assert texts(path, text_field="id") == [str(i) for i in range(len(ROWS))]


def test_old_line_ends_of_csv(tmp_path):
  path = tmp_path / "a.csv"
  for end in ("\r", "\n", "\r\n"):
    path.write_bytes(end.join(["text,id", "one,1", "", '"two",2', ""]).encode())
    assert texts(path) == ["one", "two"]


def test_tsv_has_no_quotes(tmp_path):
  path = tmp_path / "a.tsv"
  path.write_bytes(b'id\ttext\n1\t"one" is\r\n\n2\t"two\n3\t\n')
  corpus = Corpus(str(path))
  assert [document.text for document in corpus] == ['"one" is', '"two']
  assert corpus.counts.empty == 1


BAD_ROWS = {
  b'1,"one" two\n': "not well-formed CSV",
  b"1,one,more\n": "3 fields, where the file has 2 columns",
  b"1\n": "1 fields, where the file has 2 columns",
  b"1,ol\xe9\n": "not UTF-8",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_bad_rows_name_file_and_line_or_are_counted(row, tmp_path):
  path = tmp_path / "a.csv"
  path.write_bytes(b"id,text\n0,zero\n" + row + b"2,two\n")
  with pytest.raises(ValueError, match=rf"a.csv:3: {BAD_ROWS[row]}"):
    texts(path)
  corpus = Corpus(str(path), skip_bad_records=True)
  assert [document.text for document in corpus] == ["zero", "two"]
  assert corpus.counts.skipped == 1


def test_a_quote_that_is_open_is_named_where_its_row_begins(tmp_path):
  path = tmp_path / "a.csv"
  path.write_bytes(b'id,text\n0,zero\n1,"one\n2,two\n3,three\n')
  with pytest.raises(ValueError, match=r"a.csv:3: not well-formed .*twice"):
    texts(path)


def test_a_missing_column_lists_the_columns(tmp_path):
  path = tmp_path / "a.csv"
  path.write_bytes(b"id,body\n0,zero\n")
  with pytest.raises(ValueError, match=r"no column text \(.* has id, body\)"):
    texts(path)
  path.write_bytes(b"text,text\n0,zero\n")
  with pytest.raises(ValueError, match="two columns text"):
    texts(path)
  path.write_bytes(b"")
  with pytest.raises(ValueError, match=r"no column text \(.* has none\)"):
    texts(path)


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1 << 20)
  path = tmp_path / "a.csv"
  path.write_bytes(b'text\n"one\n' + b"two and more words\n" * (1 << 19))

  def read():
    with pytest.raises(
      ValueError, match=r"is a quote before it never closed.* on line 2$"
    ):
      texts(path)

  allowed = path.stat().st_size
  assert peak_bytes(read, enough=allowed) < allowed
  # Rows are counted one by one.
  path.write_bytes(b"text\n" + b"two and more words\n" * (1 << 17))
  assert len(texts(path)) == 1 << 17
  tabs = tmp_path / "a.tsv"
  path.rename(tabs)
  assert len(texts(tabs)) == 1 << 17
