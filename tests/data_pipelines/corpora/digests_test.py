# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import hashlib
import os

import fsspec
import pytest

from data_pipelines.corpora import digests
from data_pipelines.corpora.filesystems import File


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.setattr(digests, "_LEAST_BYTES", 10)
  monkeypatch.setattr(digests, "_TICK_SECONDS", 0)
  return tmp_path / "cache"


@pytest.fixture
def path(tmp_path):
  path = tmp_path / "a.txt"
  path.write_text("the text of the file")
  return path


def count(path, salt=("x",), **changes):
  """Return how often a hash of the file is computed in two calls."""
  calls = []

  def compute():
    calls.append(1)
    return hashlib.sha256(path.read_bytes()).hexdigest()

  for _ in range(2):
    found = digests.remember([File.at(str(path))], salt, compute)
    assert found == hashlib.sha256(path.read_bytes()).hexdigest()
  return len(calls)


def test_a_hash_is_computed_once_for_a_file_that_stays(path):
  assert count(path) == 1
  assert count(path) == 0
  assert count(path, salt=("y",)) == 1


def test_every_change_of_a_file_is_seen(path):
  stat = path.stat()
  assert count(path) == 1
  path.write_text("THE TEXT OF THE FILE")  # of the same length
  os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as cp -p does
  assert count(path) == 1
  other = path.with_name("b.txt")
  other.write_text("the other, of 20 let")
  other.replace(path)
  assert count(path) == 1


def test_a_file_that_has_just_changed_is_not_remembered(path, monkeypatch):
  monkeypatch.setattr(digests, "_TICK_SECONDS", 60)
  assert count(path) == 2


def test_a_file_that_changes_while_it_is_read_is_not_remembered(path):
  file = File.at(str(path))

  def compute():
    path.write_text("another text, longer")
    return "0" * 64

  assert digests.remember([file], ["x"], compute) == "0" * 64
  assert count(path) == 1


def test_small_corpora_and_caches_that_cannot_be_written_are_fine(
  path, cache, monkeypatch
):
  cache.write_text("a file is in the way")
  assert count(path) == 2
  cache.unlink()
  monkeypatch.setattr(digests, "_LEAST_BYTES", 1000)
  assert count(path) == 2
  assert not cache.exists()


def test_a_file_in_a_bucket_is_known_by_its_tag():
  memory = fsspec.filesystem("memory")
  info = {"size": 20, "type": "file"}
  for name in ("etag", "ETag", "generation", "LastModified"):
    one = File.remote(memory, "/b/a.txt", {**info, name: 1})
    assert one == File.remote(memory, "/b/a.txt", {**info, name: 1})
    other = File.remote(memory, "/b/a.txt", {**info, name: 2})
    assert one.version != other.version
  # Without any the content is hashed each time.
  plain, calls = File.remote(memory, "/b/a.txt", info), []
  assert plain.version == ""
  for _ in range(2):
    digests.remember([plain], [], lambda: calls.append(1) or "0" * 64)
  assert len(calls) == 2


def test_files_and_their_kinds_are_hashed_in_order(path):
  other = path.with_name("b.txt")
  other.write_text("the other")
  files = [File.at(str(path)), File.at(str(other))]
  found = digests.digest_files(files, [".txt", ".x"])
  expected = hashlib.sha256()
  for kind, part in ((".txt", path), (".x", other)):
    expected.update(kind.encode())
    expected.update(hashlib.sha256(part.read_bytes()).digest())
  assert found == expected.hexdigest()
  assert found != digests.digest_files(files[::-1], [".txt", ".x"])
  assert found != digests.digest_files(files, [".x", ".txt"])
