# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import gzip
import hashlib
import json
import lzma
import pathlib
import pickle

import pytest
import zstandard

from data_pipelines.corpora import corpus, documents, stdlib_corpus
from data_pipelines.corpora.corpus import Corpus
from data_pipelines.corpora.reading import ReadCounts
from data_pipelines.corpora.source import OpenedSources, Source

TEXT = "First line.\r\nSecond – line.\n\nNew block.\n"
PACK = {
  "": lambda data: data,
  ".gz": gzip.compress,
  ".xz": lzma.compress,
  ".zst": zstandard.ZstdCompressor().compress,
}


def texts(spec, **options):
  return [document.text for document in Corpus(str(spec), **options)]


def jsonl(*records):
  return "".join(json.dumps(record) + "\n" for record in records).encode()


@pytest.mark.parametrize("suffix", PACK)
def test_every_format_and_compression_reads_the_same(suffix, tmp_path):
  path = tmp_path / f"a.txt{suffix}"
  path.write_bytes(PACK[suffix](TEXT.encode()))
  plain = TEXT.replace("\r", "")
  assert texts(path) == [plain.removesuffix("\n")]
  blocks = ["First line.\nSecond – line.", "New block."]
  assert texts(path, documents="blank_line") == blocks
  found = list(Corpus(str(path), documents="blank_line"))
  assert [document.name for document in found] == [f"{path}:1", f"{path}:4"]
  lines = tmp_path / f"b.jsonl{suffix}"
  lines.write_bytes(
    PACK[suffix](jsonl({"text": TEXT, "id": 1}, {"text": "b"}) + b"\n")
  )
  assert texts(lines) == [plain, "b"]
  assert corpus.read(str(lines)).__next__().name == f"{lines}:1"


def test_several_frames_are_one_file(tmp_path):
  for suffix, pack in PACK.items():
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(pack(b"one\n" * 9) + pack(b"two\n"))
    assert texts(path) == ["one\n" * 9 + "two"]


def test_globs_are_sorted_and_a_file_is_read_once(tmp_path):
  for name in ("b.txt", "a.txt", "c.txt.gz"):
    data = name.encode()
    (tmp_path / name).write_bytes(
      gzip.compress(data) if name.endswith("gz") else data
    )
  spec = f"{tmp_path}/*.txt*, {tmp_path}/b.txt ,{tmp_path}/../{tmp_path.name}/*"
  assert texts(spec) == ["a.txt", "b.txt", "c.txt.gz"]


def test_stdlib_joins_with_files(tmp_path, monkeypatch):
  embedded = documents.Document("stdlib:words", "theirs")
  monkeypatch.setattr(stdlib_corpus, "documents", lambda: iter([embedded]))
  (tmp_path / "a.txt").write_text("mine", encoding="utf-8")
  assert texts(f"stdlib,{tmp_path}/a.txt") == ["theirs", "mine"]


def test_empty_documents_are_counted_and_left_out(tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_bytes(jsonl({"text": ""}, {"text": "x"}, {"text": " \n\0"}))
  corpus = Corpus(str(path))
  assert len(list(corpus)) == 1
  assert corpus.counts.empty == 2
  assert len(list(corpus)) == 1
  assert corpus.counts.empty == 2  # of the latest reading
  assert corpus.counts.position == corpus.size == path.stat().st_size


def test_odd_characters_are_made_plain(tmp_path):
  path = tmp_path / "a.txt"
  path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\x0cfour\0!")
  assert texts(path) == ["one\ntwo\nthree\nfour!"]
  path.write_bytes(b"o\0n\0e\0")  # UTF-16 without a mark
  assert texts(path) == ["one"]


BAD_LINES = {
  b'{"text": "\xff"}': r"not UTF-8 \(byte 0xff at column 11\)",
  b'{"text": "a"': r"not JSON \(Expecting ',' delimiter at column",
  b"[1]": "a JSON list, not an object",
  b'{"title": 1, "body": 2}': r'no "text" field \(it has body, title\)',
  b'{"text": null}': '"text" is a NoneType, not a string',
  b'{"text": "\\ud800"}': '"text" holds half a surrogate pair',
  b"[" * 100_000: "nested too deep|not JSON",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_records_name_file_and_line_or_are_counted(line, tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_bytes(jsonl({"text": "one"}) + line + b"\n" + jsonl({"text": "2"}))
  with pytest.raises(ValueError, match=f"a.jsonl:2: (?:{BAD_LINES[line]})"):
    texts(path)
  corpus = Corpus(str(path), skip_bad_records=True)
  assert [document.text for document in corpus] == ["one", "2"]
  assert corpus.counts.skipped == 1


def test_bad_lines_of_plain_text_too(tmp_path):
  path = tmp_path / "a.txt.gz"
  path.write_bytes(gzip.compress(b"one\ncaf\xe9\nthree\n"))
  with pytest.raises(ValueError, match=r"a.txt.gz:2: not UTF-8 \(byte 0xe9"):
    texts(path)
  assert texts(path, skip_bad_records=True) == ["one\nthree"]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_cut_and_damaged_files_are_named(suffix, tmp_path):
  path = tmp_path / f"a.txt{suffix}"
  data = PACK[suffix](bytes(range(32, 127)) * 500)
  path.write_bytes(data[: len(data) // 2])
  with pytest.raises(ValueError, match=f"a.txt{suffix} is truncated"):
    texts(path, skip_bad_records=True)  # not a record: never skipped
  path.write_bytes(b"this is no compressed file at all, only its name says so")
  with pytest.raises(ValueError, match=f"not a {suffix} file"):
    texts(path)
  flipped = bytearray(data)
  flipped[len(data) // 2] ^= 0xFF
  path.write_bytes(bytes(flipped))
  with pytest.raises(ValueError, match=r"damaged|truncated|not UTF-8"):
    texts(path)


@pytest.mark.parametrize(
  ("spec", "message"),
  [
    ("", "corpus='' names nothing"),
    ("{}/nothing.txt", "nothing.txt does not exist"),
    ("{}/*.txt", r"\*.txt matches no file"),
    ("{}", "is a folder without a file of a known format"),
    ("{}/data.csv", "data.csv has no known format"),
    ("{}/data.parquet.gz", "data.parquet.gz has no known format"),
    ("{}/data.*", "data.csv has no known format"),
  ],
)
def test_specifications_that_name_nothing_are_refused(spec, message, tmp_path):
  (tmp_path / "data.csv").write_text("a,b\n", encoding="utf-8")
  if "parquet" in spec:
    (tmp_path / "data.parquet.gz").touch()
  with pytest.raises(ValueError, match=message):
    Corpus(spec.format(tmp_path))


def test_unknown_documents_mode_is_refused():
  with pytest.raises(ValueError, match="documents='line'; choose from file"):
    Corpus("stdlib", documents="line")


def test_options_without_sense_are_refused():
  with pytest.raises(ValueError, match=r"min_characters=-1.*at least 0"):
    Corpus("stdlib", min_characters=-1)
  with pytest.raises(ValueError, match=r"text_field=''.*a name"):
    Corpus("stdlib", text_field="")


def test_short_documents_are_counted_and_left_out(tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_bytes(jsonl(*({"text": t} for t in ("", " 123 \n", "1234", "5"))))
  corpus = Corpus(str(path), min_characters=4)
  assert [document.text for document in corpus] == ["1234"]
  assert (corpus.counts.empty, corpus.counts.short) == (1, 2)
  path.write_bytes(jsonl({"text": " 123 \n"}, {"text": "é" * 3}))
  assert texts(path, min_characters=3) == [" 123 \n", "é" * 3]


def test_every_source_is_read_on_its_own(tmp_path, monkeypatch):
  embedded = documents.Document("stdlib:words", "theirs")
  monkeypatch.setattr(
    stdlib_corpus, "documents", lambda: iter([embedded, embedded])
  )
  (tmp_path / "a.jsonl").write_bytes(
    jsonl({"text": "a"}, {"text": ""}) + b"{\n"
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


def test_tallies_add_up_field_by_field():
  one, other = ReadCounts(1, 2, 3, 4, 5), ReadCounts(10, 20, 30, 40, 50)
  assert sum([one, other], ReadCounts()) == ReadCounts(11, 22, 33, 44, 55)
  assert one == ReadCounts(1, 2, 3, 4, 5)


def test_identity_names_an_option_only_where_it_is_used(tmp_path):
  data = {"a.txt": b"one", "b.jsonl": jsonl({"text": "two"})}
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


def test_identity_is_of_the_content_not_of_the_place(tmp_path):
  for folder, name in (("a", "x.txt"), ("b", "y.txt")):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).write_text("same", encoding="utf-8")
  one = Corpus(f"{tmp_path}/a/*").identity()
  assert one == Corpus(f"{tmp_path}/b/*").identity()
  assert str(tmp_path) not in json.dumps(one)
  (tmp_path / "b" / "y.txt").write_text("some", encoding="utf-8")
  assert one != Corpus(f"{tmp_path}/b/*").identity()
  assert "stdlib" in Corpus("stdlib").identity()


def test_document_hash_orders_and_splits_by_text_alone():
  digests = [documents.digest(f"text {i}") for i in range(2000)]
  assert documents.digest("text 7") == digests[7]
  shares = [documents.share(digest) for digest in digests]
  assert all(0 <= share < 1 for share in shares)
  # A share of 0.1 takes 200 of 2,000, within five standard deviations.
  assert abs(sum(share < 0.1 for share in shares) - 200) < 5 * 180**0.5
  # Order and split are independent: both halves hold as many.
  first = sorted(range(2000), key=lambda i: documents.order(digests[i]))[:1000]
  taken = sum(shares[i] < 0.5 for i in first)
  assert abs(taken - 500) < 5 * 250**0.5


class NotesSource(Source):
  readable_on = "any machine"

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
