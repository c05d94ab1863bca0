# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import gzip
import lzma
import os
import pickle

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
  "notes.pdf": b"no",
  "a/readme": b"no",
  ".hidden.txt": b"no",
  ".git/e.txt": b"no",
}
SORTED = ["d", "a", "c", "z", "y", "b"]


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
    ("*.rtf", r"\*.rtf matches no file"),
    (".git/*.pdf", r"\*.pdf matches no file"),
    ("nowhere/**", r"\*\* matches no file"),
    ("notes.pdf", "notes.pdf has no known format"),
    ("*.pdf", "notes.pdf has no known format"),
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


def put(place, files):
  filesystem, path = fsspec.core.url_to_fs(str(place))
  for name, data in files.items():
    filesystem.makedirs(f"{path}/{name}".rpartition("/")[0], exist_ok=True)
    filesystem.pipe_file(f"{path}/{name}", data)


def test_what_is_passed_over_is_counted_by_suffix(place):
  assert Corpus(place).passed_over == {
    ".pdf": 1,
    "hidden": 2,
    "without suffix": 1,
  }
  assert Corpus(f"{place}/b.txt").passed_over == {}
  # A file that another part names is read, and not passed over.
  put(place, {"x/c.dat": b"c", "x/d.txt": b"d"})
  assert Corpus(f"{place}/x").passed_over == {".dat": 1}
  both = Corpus(f"{place}/x,{place}/x/d.txt,{place}")
  assert both.passed_over[".dat"] == 1


def test_a_folder_without_text_says_what_it_has(place):
  put(place, {"x/c.dat": b"c", "x/d.dat": b"d"})
  with pytest.raises(ValueError, match=r"known format \(it has 2 \.dat\)"):
    Corpus(f"{place}/x")


def test_suffixes_are_compared_in_lower_case(place):
  put(
    place,
    {
      "x/B.TXT": b"b",
      "x/a.txt": b"a",
      "x/c.ndjson": b'{"text": "c"}',
      "x/d.md": b"d",
      "x/e.JSONL": b'{"text": "e"}',
      "x/f.Txt.GZ": gzip.compress(b"f"),
    },
  )
  corpus = Corpus(f"{place}/x")
  assert sorted(d.text for d in corpus) == ["a", "b", "c", "e", "f"]
  assert corpus.passed_over == {".md": 1}


ARTIFACTS = {
  "x/a.txt": b"a",
  "x/deep/b.txt": b"b",
  "x/store/manifest.json": b"{}",
  "x/store/train.blocks.npy": b"",
  "x/store/tokenizer/vocab.txt": b"no",
  "x/deep/bundle/bundle.json": b"{}",
  "x/deep/bundle/tokenizer/vocab.txt": b"no",
  "x/hub/tokenizer_config.json": b"{}",
  "x/hub/vocab.txt": b"no",
}


def test_what_a_program_wrote_is_never_text(place):
  put(place, ARTIFACTS)
  counts = {"bundle": 1, "model or tokenizer": 1, "store": 1}
  for spec in (f"{place}/x", f"{place}/x/**/*.txt", f"{place}/x/**"):
    corpus = Corpus(spec)
    assert [document.text for document in corpus] == ["a", "b"], spec
    assert corpus.passed_over == counts
  with pytest.raises(
    ValueError, match=r"x/store is the folder of a store, not"
  ):
    Corpus(f"{place}/x/store")


def test_the_output_is_left_out_and_not_counted(place):
  put(place, ARTIFACTS | {"x/out/c.txt": b"no", "x/out.partial/d.txt": b"no"})
  exclude = (f"{place}/x/out", f"{place}/x/out.partial")
  for spec in (f"{place}/x", f"{place}/x/**/*.txt"):
    corpus = Corpus(spec, exclude=exclude)
    assert [document.text for document in corpus] == ["a", "b"]
    assert corpus.passed_over == Corpus(spec).passed_over
  assert len(list(Corpus(f"{place}/x"))) == 4


def test_a_folder_that_a_glob_matches_is_named(place):
  put(place, {"x/a.txt": b"a", "x/old/b.txt": b"b"})
  corpus = Corpus(f"{place}/x/*")
  assert [document.text for document in corpus] == ["a"]
  assert corpus.passed_over == {"folder old/": 1}
  with pytest.raises(ValueError, match="matches no file but 1 folder old/"):
    Corpus(f"{place}/x/o*")
  for pattern in ("**", "**/*"):  # they name the files below the folder, too
    corpus = Corpus(f"{place}/x/{pattern}")
    assert sorted(document.text for document in corpus) == ["a", "b"]
    assert corpus.passed_over == {}


def test_a_dangling_link_is_an_error_in_a_glob_too(tmp_path):
  (tmp_path / "a.txt").write_text("a")
  (tmp_path / "b.txt").symlink_to(tmp_path / "gone")
  with pytest.raises(ValueError, match=r"cannot read .*/b.txt: No such file"):
    Corpus(f"{tmp_path}/*.txt")
