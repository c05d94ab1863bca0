# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import random

import pytest

from data_pipelines.corpora import lines
from data_pipelines.corpora.corpus import Corpus
from tests.testing.json_lines import json_lines
from tests.testing.memory import peak_bytes


def texts(path, **options):
  return [document.text for document in Corpus(str(path), **options)]


def test_lines_longer_than_what_is_read_at_once_are_whole(
  tmp_path, monkeypatch
):
  draw = random.Random(3)
  texts_written = ["é" * draw.randrange(1, 60) for _ in range(200)]
  path = tmp_path / "a.jsonl"
  path.write_text(
    "\n".join(
      json.dumps({"text": line}, ensure_ascii=False) for line in texts_written
    ),
    encoding="utf-8",
  )
  for size in (1, 2, 7, 16, 64):
    monkeypatch.setattr(lines, "CHUNK", size)
    assert texts(path) == texts_written


def test_a_line_that_is_too_long_is_named_or_counted(tmp_path, monkeypatch):
  monkeypatch.setattr(lines, "CHUNK", 16)
  monkeypatch.setattr(lines, "MAX_LINE_BYTES", 64)
  path = tmp_path / "a.jsonl"
  one, three = json_lines({"text": "one"}), json_lines({"text": "three"})
  for last in (b"", b"\n", b"\n" + three):
    path.write_bytes(one + b"x" * 500 + last)
    with pytest.raises(ValueError, match=r"a.jsonl:2: a line of over 64 bytes"):
      texts(path)
    corpus = Corpus(str(path), skip_bad_records=True)
    found = [document.text for document in corpus]
    assert found == ["one", "three"][: 1 + (len(last) > 1)]
    assert corpus.counts.skipped == 1
    assert corpus.counts.position == path.stat().st_size
  longest = {"text": "y" * (64 - len(b'{"text": ""}\n'))}
  path.write_bytes(json_lines(longest) + json_lines(longest).strip() + b" ")
  assert texts(path) == [longest["text"]] * 2


def test_a_line_that_is_too_long_is_never_held(tmp_path, monkeypatch):
  monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1 << 21)
  path = tmp_path / "a.jsonl.gz"
  path.write_bytes(gzip.compress(b"x" * (1 << 25), 1))

  def read():
    corpus = Corpus(str(path), skip_bad_records=True)
    assert list(corpus) == []
    assert corpus.counts.skipped == 1

  assert peak_bytes(read, enough=10 << 20) < 10 << 20


def test_a_long_line_of_plain_text_is_read_in_pieces(tmp_path, monkeypatch):
  monkeypatch.setattr(lines, "CHUNK", 16)
  monkeypatch.setattr(lines, "MAX_LINE_BYTES", 256)
  monkeypatch.setattr(lines, "PIECE_BYTES", 64)
  draw = random.Random(4)
  path = tmp_path / "a.txt"
  for unit in ("word ", "é", "漢"):
    long = "".join(unit for _ in range(draw.randrange(300, 400)))
    for last in ("", "\n", "\nthree"):
      path.write_text(f"one\n{long}{last}", encoding="utf-8")
      (found,) = texts(path)
      first, *pieces = found.split("\n")
      if last == "\nthree":
        assert pieces.pop() == "three"
      assert first == "one"
      assert "".join(pieces) == long
      assert len(pieces) > 3
      assert all(len(piece.encode()) <= 64 for piece in pieces)
      assert unit != "word " or all(p.endswith(" ") for p in pieces)
  path.write_bytes(b"x" * 400 + b"\xff")
  with pytest.raises(ValueError, match=r"a.txt:1: not UTF-8"):
    texts(path)


def test_a_text_of_one_line_is_neither_refused_nor_held(tmp_path, monkeypatch):
  monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1 << 24)
  path = tmp_path / "a.txt.gz"
  size = 1 << 26
  path.write_bytes(gzip.compress(b"a word " * (size // 7), 1))

  def read():
    corpus = Corpus(str(path))
    words = sum(document.text.count("word") for document in corpus)
    assert words == size // 7
    assert corpus.counts.cut >= size >> 23

  assert peak_bytes(read, enough=size) < size


UTF16 = {
  "english": "A line.\nAnother line of text.\n",
  "russian": "Это было давно, очень давно, и всё же я помню.\n",
}


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".tsv"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
@pytest.mark.parametrize("text", UTF16)
def test_utf_16_is_refused_with_and_without_a_mark(
  text, encoding, suffix, tmp_path
):
  path = tmp_path / f"a{suffix}"
  path.write_bytes((UTF16[text] * 200).encode(encoding))
  with pytest.raises(ValueError, match="is UTF-16, not UTF-8; convert it with"):
    texts(path, skip_bad_records=True)
  path.write_bytes(UTF16[text].encode(encoding))
  with pytest.raises(ValueError, match="is UTF-16, not UTF-8; convert it with"):
    texts(path)


def test_a_few_nuls_are_no_utf_16(tmp_path):
  path = tmp_path / "a.txt"
  path.write_bytes(b"one\0 two\0 three\0 four" + b" and so on" * 50)
  assert texts(path)[0].startswith("one two three four")
