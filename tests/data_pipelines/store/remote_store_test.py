# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
import pathlib

import fsspec
import pytest

from data_pipelines.prepare import prepare
from data_pipelines.prepare.options import Options
from data_pipelines.store import remote_store
from data_pipelines.store.layout import MANIFEST
from data_pipelines.store.store import open_store
from tests.testing.prepared import files

TEXTS = [
  f"Tale {i}. The old man fished. He caught {i} fish." for i in range(30)
]
URL = "memory://bucket/deep/store"


@pytest.fixture(autouse=True)
def bucket(tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  filesystem = fsspec.filesystem("memory")
  filesystem.store.clear()
  yield filesystem
  filesystem.store.clear()


@pytest.fixture
def options(tmp_path):
  corpus = tmp_path / "corpus.jsonl"
  lines = (json.dumps({"text": text}) + "\n" for text in TEXTS)
  corpus.write_text("".join(lines), encoding="utf-8")
  return Options(
    corpus=str(corpus), output=URL, validation="0.3", vocab_size=60
  )


def test_a_store_made_in_a_bucket_is_the_store_made_here(
  options, tmp_path, bucket
):
  here = dataclasses.replace(options, output=str(tmp_path / "store"))
  prepare.prepare(here)
  summary = prepare.prepare(options)
  assert summary.new
  # As another machine would, that has made nothing.
  (tmp_path / "cache").rename(tmp_path / "elsewhere")
  store = open_store(URL)
  assert files(store.path) == files(tmp_path / "store")
  assert store.sha256 == open_store(here.output).sha256
  assert not prepare.prepare(options).new


def test_the_manifest_is_written_last_and_makes_the_store(
  options, tmp_path, bucket, monkeypatch
):
  written = []
  put, pipe = type(bucket).put_file, type(bucket).pipe_file

  def put_file(self, here, there, **kwargs):
    written.append(there)
    if len(written) == 4:
      raise OSError("the line is cut")
    put(self, here, there, **kwargs)

  def pipe_file(self, path, value, **kwargs):
    written.append(path)
    pipe(self, path, value, **kwargs)

  monkeypatch.setattr(type(bucket), "put_file", put_file)
  monkeypatch.setattr(type(bucket), "pipe_file", pipe_file)
  with pytest.raises(ValueError, match=r"cannot write memory.*line is cut"):
    prepare.prepare(options)
  with pytest.raises(ValueError, match=f"{URL} is not a store"):
    open_store(URL)
  prepare.prepare(options)  # nothing is encoded again
  assert written[-1].endswith(MANIFEST)
  open_store(URL).verify()


def test_another_store_is_never_written_over(options, bucket):
  prepare.prepare(options)
  before = dict(bucket.store)
  other = dataclasses.replace(options, sentences="lines")
  with pytest.raises(ValueError, match="has a store"):
    prepare.prepare(other)
  assert {n: f.getvalue() for n, f in bucket.store.items()} == {
    n: f.getvalue() for n, f in before.items()
  }


def test_a_damaged_copy_is_named_and_not_kept(options, tmp_path, bucket):
  prepare.prepare(options)
  (tmp_path / "cache").rename(tmp_path / "elsewhere")
  (name,) = bucket.glob("/bucket/deep/store/train-*.array_record")
  data = bytearray(bucket.cat_file(name))
  data[len(data) // 2] ^= 1
  bucket.pipe_file(name, bytes(data))
  for _ in range(2):
    with pytest.raises(ValueError, match=r"train-00000.*damaged"):
      open_store(URL)


def test_a_fetch_that_breaks_off_keeps_what_is_whole(
  options, tmp_path, bucket, monkeypatch
):
  prepare.prepare(options)
  (tmp_path / "cache").rename(tmp_path / "elsewhere")
  get, fetched, limit = type(bucket).get_file, [], 3

  def get_file(self, there, here, **kwargs):
    fetched.append(there)
    get(self, there, here, **kwargs)
    if len(fetched) == limit:  # in the middle of the file
      data = pathlib.Path(here).read_bytes()
      pathlib.Path(here).write_bytes(data[:-1])
      raise OSError("the line is cut")

  monkeypatch.setattr(type(bucket), "get_file", get_file)
  with pytest.raises(ValueError, match="the line is cut"):
    open_store(URL)
  broken = fetched.copy()
  limit = 0
  store = open_store(URL)
  store.verify()
  again = fetched[len(broken) :]
  assert again[0] == broken[-1]
  assert not set(again) & set(broken[:-1])
  assert files(store.path).keys() >= {MANIFEST, "tokenizer/vocab.txt"}
  assert [
    path.name for path in store.path.parent.iterdir() if path.is_dir()
  ] == [store.path.name]


def test_a_copy_is_fetched_once(options, bucket, monkeypatch):
  prepare.prepare(options)
  first = open_store(URL).path
  monkeypatch.setattr(type(bucket), "get_file", None)
  assert open_store(URL).path == first


def test_what_is_no_url_is_a_folder(tmp_path):
  assert remote_store.is_remote("gs://bucket/store")
  assert not remote_store.is_remote(tmp_path / "store")
  with pytest.raises(ValueError, match="nosuch"):
    open_store("nosuch://bucket/store")
