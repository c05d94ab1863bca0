# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pickle

import pytest

from data_pipelines.corpora import corpus, documents, stdlib_corpus
from data_pipelines.corpora.corpus import Corpus
from data_pipelines.corpora.reading import ReadCounts
from data_pipelines.corpora.source import OpenedSources, Source
from tests.testing.json_lines import json_lines


def texts(spec, **options):
  return [document.text for document in Corpus(str(spec), **options)]


def test_stdlib_joins_with_files(tmp_path, monkeypatch):
  embedded = documents.Document("stdlib:words", "theirs")
  monkeypatch.setattr(stdlib_corpus, "documents", lambda: iter([embedded]))
  (tmp_path / "a.txt").write_text("mine", encoding="utf-8")
  assert texts(f"stdlib,{tmp_path}/a.txt") == ["theirs", "mine"]


def test_line_ends_and_nuls_are_cleaned(tmp_path):
  path = tmp_path / "a.txt"
  path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\x0cfour\0!")
  assert texts(path) == ["one\ntwo\nthree\nfour!"]


@pytest.mark.parametrize(
  ("spec", "message"),
  [
    ("", "corpus='' names nothing"),
    ("{}/nothing.txt", "nothing.txt does not exist"),
    ("{}/*.txt", r"\*.txt matches no file"),
    ("{}", "is a folder without a file of a known format"),
    ("{}/data.pdf", "data.pdf has no known format"),
    ("{}/data.parquet.gz", "data.parquet.gz has no known format"),
    ("{}/data.*", "data.pdf has no known format"),
  ],
)
def test_specifications_that_name_nothing_are_refused(spec, message, tmp_path):
  (tmp_path / "data.pdf").write_text("a,b\n", encoding="utf-8")
  if "parquet" in spec:
    (tmp_path / "data.parquet.gz").touch()
  with pytest.raises(ValueError, match=message):
    Corpus(spec.format(tmp_path))


def test_unknown_documents_mode_is_refused():
  with pytest.raises(ValueError, match="documents='line'; give one of file"):
    Corpus("stdlib", documents="line")


def test_options_out_of_range_are_refused():
  with pytest.raises(ValueError, match=r"min_characters=-1; give 0 or more"):
    Corpus("stdlib", min_characters=-1)
  with pytest.raises(ValueError, match=r"text_field=''.*a name"):
    Corpus("stdlib", text_field="")


def test_every_source_is_read_on_its_own(tmp_path, monkeypatch):
  embedded = documents.Document("stdlib:words", "theirs")
  monkeypatch.setattr(
    stdlib_corpus, "documents", lambda: iter([embedded, embedded])
  )
  (tmp_path / "a.jsonl").write_bytes(
    json_lines({"text": "a"}, {"text": ""}) + b"{\n"
  )
  (tmp_path / "b.txt").write_text("one\n\ntwo", encoding="utf-8")
  options = {"skip_bad_records": True, "documents": "blank_line"}
  corpus = Corpus(f"{tmp_path},stdlib", **options)
  whole = list(corpus)
  total, found = ReadCounts(), {}
  sources = pickle.loads(pickle.dumps(corpus.sources))
  for index in (2, 0, 1):  # in any order
    counts = ReadCounts()
    found[index] = list(sources[index].read(counts))
    assert counts.position == sources[index].size
    total += counts
  assert found[0] + found[1] + found[2] == whole
  assert total == corpus.counts
  assert total == ReadCounts(position=corpus.size, skipped=1, empty=1)
  assert corpus.share_read == 1
  assert [source.name for source in sources] == [
    "stdlib",
    f"{tmp_path}/a.jsonl",
    f"{tmp_path}/b.txt",
  ]


class NotesSource(Source):
  @property
  def readable_on(self):
    return "any machine"

  def _documents(self, counts):
    yield documents.Document(self.name, f"text of {self.name}")


def open_notes(parts, options):
  return OpenedSources(
    [NotesSource(part, 0, options) for part in parts],
    lambda: {"notes": list(parts)},
  )


def test_a_named_source_is_one_entry_of_the_registry(tmp_path, monkeypatch):
  kind = corpus.SourceKind(open_notes, "notes:NAME")
  monkeypatch.setitem(corpus.KINDS, "notes:", kind)
  (tmp_path / "a.txt").write_text("file", encoding="utf-8")
  found = Corpus(f"notes:b,{tmp_path},notes:a,notes:b")
  assert [d.text for d in found] == [
    "file",
    "text of notes:b",
    "text of notes:a",
  ]
  assert found.identity()["notes"] == ["notes:b", "notes:a"]
  with pytest.raises(ValueError, match="notes://a: Protocol not known"):
    Corpus("notes://a")
  (tmp_path / "notes").mkdir()
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match="corpus notes is a folder"):
    Corpus("notes")
