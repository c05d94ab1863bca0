# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import gzip
import hashlib
import json
import pathlib

from data_pipelines.corpora.corpus import Corpus
from tests.testing.json_lines import json_lines


def texts(spec, **options):
  return [document.text for document in Corpus(str(spec), **options)]


def test_globs_are_sorted_and_a_file_is_read_once(tmp_path):
  for name in ("b.txt", "a.txt", "c.txt.gz"):
    data = name.encode()
    (tmp_path / name).write_bytes(
      gzip.compress(data) if name.endswith("gz") else data
    )
  spec = f"{tmp_path}/*.txt*, {tmp_path}/b.txt ,{tmp_path}/../{tmp_path.name}/*"
  assert texts(spec) == ["a.txt", "b.txt", "c.txt.gz"]


def test_identity_names_an_option_only_where_it_is_used(tmp_path):
  data = {"a.txt": b"one", "b.jsonl": json_lines({"text": "two"})}
  for name, content in data.items():
    (tmp_path / name).write_bytes(content)
  digest = hashlib.sha256()
  for name, content in data.items():
    digest.update(pathlib.Path(name).suffix.encode())
    digest.update(hashlib.sha256(content).digest())
  plain = {"documents": "file", "files": 2, "sha256": digest.hexdigest()}
  spec = f"{tmp_path}/a.txt,{tmp_path}/*.jsonl"
  assert Corpus(spec, tfds_data_dir="/x", skip_bad_records=True).identity() == (
    plain
  )
  options = {
    "documents": "blank_line",
    "text_field": "body",
    "min_characters": 3,
  }
  assert Corpus(spec, **options).identity() == {**plain, **options}


def test_identity_depends_on_content_not_on_names(tmp_path):
  for folder, name in (("a", "x.txt"), ("b", "y.txt")):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).write_text("same", encoding="utf-8")
  one = Corpus(f"{tmp_path}/a/*").identity()
  assert one == Corpus(f"{tmp_path}/b/*").identity()
  assert str(tmp_path) not in json.dumps(one)
  (tmp_path / "b" / "y.txt").write_text("some", encoding="utf-8")
  assert one != Corpus(f"{tmp_path}/b/*").identity()
  assert "stdlib" in Corpus("stdlib").identity()
  (source,) = Corpus("stdlib").sources
  assert source.readable_on == "this Python"
