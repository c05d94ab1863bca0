# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json
import sys

import pytest

from data_pipelines.corpora.corpus import Corpus
from tests.testing.memory import peak_bytes

pa = pytest.importorskip("pyarrow")


def texts(path, **options):
  return [document.text for document in Corpus(str(path), **options)]


TEXTS = ["one\r\ntwo", "", "é\0" * 30, *(f"text {i}" for i in range(600))]
READ = ["one\ntwo", "é" * 30, *TEXTS[3:]]


def write(path, make=pa.ipc.new_stream, values=TEXTS, rows=100):
  table = pa.table({"id": range(len(values)), "text": pa.array(values)})
  path.parent.mkdir(parents=True, exist_ok=True)
  with make(str(path), table.schema) as writer:
    writer.write_table(table, max_chunksize=rows)


@pytest.mark.parametrize("make", [pa.ipc.new_stream, pa.ipc.new_file])
@pytest.mark.parametrize("rows", [7, 1000])
def test_a_column_of_both_formats_is_read(make, rows, tmp_path):
  path = tmp_path / "a.arrow"
  write(path, make, rows=rows)
  corpus = Corpus(str(path))
  found = list(corpus)
  assert [document.text for document in found] == READ
  assert found[1].name == f"{path}:3"
  assert corpus.counts.empty == 1
  assert corpus.counts.position == corpus.size == path.stat().st_size


def save(folder, values=TEXTS, names=("data-00000-of-00001.arrow",)):
  """Write what datasets.save_to_disk writes."""
  for name in names:
    write(folder / name, values=values)
  files = [{"filename": name} for name in names]
  (folder / "state.json").write_text(json.dumps({"_data_files": files}))
  (folder / "dataset_info.json").write_text("{}")
  write(folder / "cache-0123456789abcdef.arrow", values=["derived"])


def test_a_folder_of_save_to_disk_is_its_data_and_no_cache(tmp_path):
  save(
    tmp_path / "set", names=("data-00000-of-00002.arrow", "data-00001.arrow")
  )
  corpus = Corpus(f"{tmp_path}/set")
  assert [document.text for document in corpus] == READ * 2
  assert corpus.passed_over == {".arrow": 1, "description of a data set": 2}


def test_of_several_splits_one_is_named(tmp_path):
  for split in ("train", "test"):
    save(tmp_path / "set" / split)
  (tmp_path / "set" / "dataset_dict.json").write_text("{}")
  with pytest.raises(
    ValueError, match=r"several splits; give one, as .*/train"
  ):
    Corpus(f"{tmp_path}/set")
  with pytest.raises(ValueError, match="it has 1 data set of several splits"):
    Corpus(str(tmp_path))
  assert texts(f"{tmp_path}/set/train") == READ


def test_bad_rows_columns_and_files_are_named(tmp_path):
  path = tmp_path / "a.arrow"
  write(path, values=["one", None, "three"])
  with pytest.raises(ValueError, match=r"a.arrow:2: no text \(null\)"):
    texts(path)
  assert texts(path, skip_bad_records=True) == ["one", "three"]
  with pytest.raises(ValueError, match=r"no column body \(it has id, text\)"):
    texts(path, text_field="body")
  with pytest.raises(ValueError, match="column id is int64, not string"):
    texts(path, text_field="id")
  write(path)
  data = path.read_bytes()
  for bad in (data[: len(data) // 2], b"", b"{}\n" * 50):
    path.write_bytes(bad)
    with pytest.raises(
      ValueError, match=r"a.arrow is damaged, truncated or not"
    ):
      texts(path, skip_bad_records=True)


def test_one_batch_is_in_memory(tmp_path):
  path = tmp_path / "a.arrow"
  write(path, values=[f"{i} " * 5000 for i in range(1000)], rows=10)
  before, held = pa.total_allocated_bytes(), [0]

  def read():
    held.extend(pa.total_allocated_bytes() - before for _ in Corpus(str(path)))

  allowed = path.stat().st_size / 4
  assert peak_bytes(read, enough=allowed / 2) + max(held) < allowed


def test_the_package_to_install_is_named(tmp_path, monkeypatch):
  path = tmp_path / "a.arrow"
  write(path)
  monkeypatch.setitem(sys.modules, "pyarrow", None)
  with pytest.raises(ValueError, match=r"pip install 'bertjax\[parquet\]'"):
    texts(path)
