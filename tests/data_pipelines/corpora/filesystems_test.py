# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import gzip
import lzma
import os
import pickle
import sys

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from data_pipelines.corpora.corpus import Corpus
from data_pipelines.corpora.reading import ReadCounts

FILES = {
  "b.txt": b"b",
  "a.txt.gz": gzip.compress(b"a"),
  "a/z.jsonl.xz": lzma.compress(b'{"text": "z"}\n{"text": "y"}\n'),
  "a/b/c.txt": b"c",
  "a-b/d.txt": b"d",
  "notes.csv": b"no",
  "a/readme": b"no",
  ".hidden.txt": b"no",
  ".git/e.txt": b"no",
}
SORTED = ["d", "a", "c", "z", "y", "b"]


class Broken(MemoryFileSystem):
  """A bucket without credentials, and the exception of its client."""

  protocol = "broken"

  def info(self, path, **kwargs):
    raise RuntimeError("no credentials\nand much more")


@pytest.fixture(params=["local", "file", "memory"])
def place(request, tmp_path):
  """A folder with the files: a path of this machine, or a URL."""
  if request.param == "memory":
    memory = MemoryFileSystem()
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    for name, data in FILES.items():
      memory.pipe_file(f"/bucket/{name}", data)
    yield "memory://bucket"
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    return
  for name, data in FILES.items():
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(data)
  yield str(tmp_path) if request.param == "local" else f"file://{tmp_path}"


def texts(spec, **options):
  return [document.text for document in Corpus(str(spec), **options)]


def test_a_folder_is_all_its_files_of_known_formats(place):
  assert texts(place) == texts(f"{place}/") == SORTED
  assert texts(f"{place}/a") == ["c", "z", "y"]


@pytest.mark.parametrize("place", ["memory"], indirect=True)
def test_the_order_is_not_the_one_of_the_listing(place, monkeypatch):
  in_order = texts(f"{place}/**/*.txt")
  for name in ("find", "glob"):
    listing = getattr(MemoryFileSystem, name)

    def backwards(*args, listing=listing, **options):
      return dict(reversed(listing(*args, **options).items()))

    monkeypatch.setattr(MemoryFileSystem, name, backwards)
  assert texts(place) == SORTED
  assert texts(f"{place}/**/*.txt") == in_order


def test_files_and_globs(place):
  assert texts(f"{place}/a.txt.gz") == ["a"]
  assert texts(f"{place}/*.txt") == ["b"]
  assert texts(f"{place}/*.txt,{place}/b.txt,{place}/a.*") == ["b", "a"]
  assert texts(f"{place}/**/*.txt") == ["d", "c", "b"]
  assert texts(f"{place}/.h*") == texts(f"{place}/.git/*.txt") == ["no"]
  corpus = Corpus(f"{place}/a/*.xz")
  first, _ = corpus
  assert first.name.endswith("a/z.jsonl.xz:1")
  assert corpus.size == corpus.counts.position == len(FILES["a/z.jsonl.xz"])


def test_identity_is_the_same_in_every_place(place, tmp_path):
  here = tmp_path / "here"
  for name in ("b.txt", "a.txt.gz"):
    here.mkdir(exist_ok=True)
    (here / name).write_bytes(FILES[name])
  spec = "{0}/a.txt.gz,{0}/b.txt"
  assert (
    Corpus(spec.format(place)).identity()
    == Corpus(spec.format(here)).identity()
  )


def test_only_a_local_file_is_tied_to_this_machine(place):
  local = not place.startswith("memory://")
  (source,) = Corpus(f"{place}/b.txt").sources
  assert source.readable_on == ("this machine" if local else "any machine")


def test_sources_can_be_pickled(place):
  sources = pickle.loads(pickle.dumps(Corpus(place).sources))
  found = [document.text for s in sources for document in s.read(ReadCounts())]
  assert found == SORTED


@pytest.mark.parametrize(
  ("part", "message"),
  [
    ("nothing.txt", "nothing.txt does not exist"),
    ("*.json", r"\*.json matches no file"),
    (".git/*.csv", r"\*.csv matches no file"),
    ("nowhere/**", r"\*\* matches no file"),
    ("notes.csv", "notes.csv has no known format"),
    ("*.csv", "notes.csv has no known format"),
    ("empty", "empty is a folder without a file of a known format"),
  ],
)
def test_a_part_that_names_nothing_is_refused(place, part, message):
  if part == "empty":
    filesystem, path = fsspec.core.url_to_fs(place)
    filesystem.makedirs(f"{path}/empty/.git")
    filesystem.pipe_file(f"{path}/empty/.git/a.txt", b"no")
  with pytest.raises(ValueError, match=message):
    Corpus(f"{place}/{part}")


def test_a_deleted_file_is_named(place):
  corpus = Corpus(f"{place}/b.txt")
  filesystem, path = fsspec.core.url_to_fs(place)
  filesystem.rm_file(f"{path}/b.txt")
  with pytest.raises(ValueError, match=r"cannot read .*b.txt: "):
    list(corpus)


def test_a_truncated_compressed_file_is_named(place):
  filesystem, path = fsspec.core.url_to_fs(place)
  data = gzip.compress(bytes(range(32, 127)) * 500)
  filesystem.pipe_file(f"{path}/cut.txt.gz", data[: len(data) // 2])
  with pytest.raises(ValueError, match=r"cut.txt.gz is truncated; fetch it"):
    texts(f"{place}/cut.txt.gz", skip_bad_records=True)


def test_links_are_followed_but_not_in_circles(tmp_path):
  folder, other = tmp_path / "folder", tmp_path / "other"
  folder.mkdir()
  other.mkdir()
  (folder / "a.txt").write_text("a")
  (other / "b.txt").write_text("b")
  (folder / "link").symlink_to(other)
  for name in ("back", "again", "self"):  # followed blindly: 3 ** 40 folders
    (other / name).symlink_to(folder)
  assert texts(folder) == ["a", "b"]


def test_an_unreadable_file_in_a_folder_is_an_error(tmp_path, monkeypatch):
  (tmp_path / "a.txt").write_text("a")
  (tmp_path / "b.txt").symlink_to(tmp_path / "gone")
  with pytest.raises(ValueError, match=r"cannot read .*/b.txt: No such file"):
    Corpus(str(tmp_path))
  (tmp_path / "b.txt").unlink()
  closed = tmp_path / "closed"
  closed.mkdir()
  scandir = os.scandir

  def scan(path):
    if str(path) == str(closed):
      raise PermissionError(13, "Permission denied", str(path))
    return scandir(path)

  monkeypatch.setattr(os, "scandir", scan)
  with pytest.raises(ValueError, match=r"cannot read .*/closed: Permission"):
    Corpus(str(tmp_path))


@pytest.mark.parametrize(
  ("url", "package", "extra"),
  [
    ("gs://bucket/*.txt", "gcsfs", "gcs"),
    ("s3://bucket/a.txt", "s3fs", "s3"),
  ],
)
def test_the_package_to_install_is_named(url, package, extra, monkeypatch):
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(
    ValueError, match=rf"needs {package}; pip install 'bertjax\[{extra}\]'"
  ):
    Corpus(url)


def test_an_exception_of_a_client_is_one_line():
  fsspec.register_implementation("broken", Broken, clobber=True)
  with pytest.raises(
    ValueError, match=r"cannot read broken://bucket.*: RuntimeError: no cred"
  ) as caught:
    Corpus("broken://bucket/*.txt")
  assert "\n" not in str(caught.value)
  with pytest.raises(ValueError, match="foo://x: Protocol not known"):
    Corpus("foo://x")
