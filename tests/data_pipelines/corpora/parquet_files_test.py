# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json
import sys

import pytest

from data_pipelines.corpora.corpus import Corpus
from tests.testing.memory import peak_bytes

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

TEXTS = ["one\r\ntwo", "", "é\0" * 30, *(f"text {i}" for i in range(600))]
KINDS = {
  "string": pa.string(),
  "large_string": pa.large_string(),
  "string_view": pa.string_view(),
  "dictionary": pa.dictionary(pa.int32(), pa.string()),
}


def write(path, kind="string", values=TEXTS, **options):
  column = pa.array(values, pa.string())
  if kind == "dictionary":
    column = column.dictionary_encode()
  column = column.cast(KINDS[kind])
  numbers = pa.array(range(len(values)))
  table = pa.table({"id": numbers, "text": column})
  parquet.write_table(table, path, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row_group_size", [1000, 7])
def test_a_column_reads_as_the_same_lines_of_json(
  kind, row_group_size, tmp_path
):
  path, lines = tmp_path / "a.parquet", tmp_path / "a.jsonl"
  write(path, kind, row_group_size=row_group_size)
  lines.write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
  corpus, same = Corpus(str(path)), Corpus(str(lines))
  found = list(corpus)
  assert [d.text for d in found] == [d.text for d in same]
  assert [d.name.split(":")[1] for d in found] == [
    d.name.split(":")[1] for d in same
  ]
  assert corpus.counts.empty == same.counts.empty == 1
  assert corpus.counts.position == corpus.size == path.stat().st_size


def test_a_large_row_group_is_not_held_whole(tmp_path):
  path = tmp_path / "a.parquet"
  values = [f"{i} " * 5000 for i in range(2000)]
  # One page is in memory; a default page would have 1,024 of these rows.
  options = {"use_dictionary": False, "write_batch_size": 16}
  write(path, values=values, compression="none", **options)
  before, held = pa.total_allocated_bytes(), [0]

  def read():
    held.extend(pa.total_allocated_bytes() - before for _ in Corpus(str(path)))

  # The row group has 48 MB of text.
  allowed = 12 << 20
  assert peak_bytes(read, enough=allowed) < allowed
  assert max(held) < allowed


def test_a_missing_or_wrong_column_lists_the_columns(tmp_path):
  path = tmp_path / "a.parquet"
  write(path)
  with pytest.raises(
    ValueError, match=r"a.parquet has no column body \(it has id, text\)"
  ):
    list(Corpus(str(path), text_field="body"))
  with pytest.raises(
    ValueError, match="column id is int64, not string; name the text"
  ):
    list(Corpus(str(path), text_field="id", skip_bad_records=True))
  parquet.write_table(pa.table({"body": ["x", "y"]}), path)
  assert len(list(Corpus(str(path), text_field="body"))) == 2


def test_nulls_and_broken_text_are_bad_records(tmp_path):
  path = tmp_path / "a.parquet"
  write(path, values=["one", None, "three"])
  broken = tmp_path / "b.parquet"
  column = pa.array([b"one", b"\xff\xfe", b"three"], pa.binary())
  parquet.write_table(pa.table({"text": column.view(pa.string())}), broken)
  for file, message in ((path, r"no text \(null\)"), (broken, "not UTF-8")):
    with pytest.raises(
      ValueError, match=f"{file.name}:2: {message}; correct it"
    ):
      list(Corpus(str(file)))
    corpus = Corpus(str(file), skip_bad_records=True)
    assert [document.text for document in corpus] == ["one", "three"]
    assert corpus.counts.skipped == 1


def test_truncated_and_damaged_files_are_named(tmp_path):
  path = tmp_path / "a.parquet"
  write(path, write_page_checksum=True, compression="none")
  data = path.read_bytes()
  middle = data.index(b"text 10")
  flipped = data[:middle] + b"T" + data[middle + 1 :]
  for bad in (data[: len(data) // 2], data[:5], b"", b"{}\n" * 50, flipped):
    path.write_bytes(bad)
    with pytest.raises(ValueError, match=r"a.parquet is damaged, truncated"):
      list(Corpus(str(path), skip_bad_records=True))


def test_a_file_without_rows_is_read(tmp_path):
  path = tmp_path / "a.parquet"
  write(path, values=[])
  assert list(Corpus(str(path))) == []


def test_the_package_to_install_is_named(tmp_path, monkeypatch):
  path = tmp_path / "a.parquet"
  write(path)
  monkeypatch.setitem(sys.modules, "pyarrow", None)
  with pytest.raises(ValueError, match=r"pip install 'bertjax\[parquet\]'"):
    list(Corpus(str(path)))
