# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import random
import tracemalloc

import pytest

from data_pipelines.corpora import text_files
from data_pipelines.corpora.corpus import Corpus
from tests.testing.json_lines import json_lines


def texts(path, **options):
  return [document.text for document in Corpus(str(path), **options)]


def test_lines_longer_than_what_is_read_at_once_are_whole(
  tmp_path, monkeypatch
):
  draw = random.Random(3)
  lines = ["é" * draw.randrange(1, 60) for _ in range(200)]
  path = tmp_path / "a.jsonl"
  path.write_text(
    "\n".join(json.dumps({"text": line}, ensure_ascii=False) for line in lines),
    encoding="utf-8",
  )
  for size in (1, 2, 7, 16, 64):
    monkeypatch.setattr(text_files, "CHUNK", size)
    assert texts(path) == lines


def test_a_line_that_is_too_long_is_named_or_counted(tmp_path, monkeypatch):
  monkeypatch.setattr(text_files, "CHUNK", 16)
  monkeypatch.setattr(text_files, "MAX_LINE_BYTES", 64)
  path = tmp_path / "a.txt"
  for last in ("", "\n", "\nthree"):
    path.write_text(f"one\n{'x' * 500}{last}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a.txt:2: a line of over 64 bytes"):
      texts(path)
    corpus = Corpus(str(path), skip_bad_records=True)
    assert [document.text for document in corpus] == ["one" + last.rstrip("\n")]
    assert corpus.counts.skipped == 1
    assert corpus.counts.position == path.stat().st_size
  path.write_text("y" * 63 + "\n" + "z" * 64, encoding="utf-8")  # the longest
  assert texts(path) == ["y" * 63 + "\n" + "z" * 64]


def test_a_line_that_is_too_long_is_never_held(tmp_path, monkeypatch):
  monkeypatch.setattr(text_files, "MAX_LINE_BYTES", 1 << 21)
  path = tmp_path / "a.txt.gz"
  path.write_bytes(gzip.compress(b"x" * (1 << 25), 1))
  tracemalloc.start()
  try:
    corpus = Corpus(str(path), skip_bad_records=True)
    assert list(corpus) == []
    peak = tracemalloc.get_traced_memory()[1]
  finally:
    tracemalloc.stop()
  assert corpus.counts.skipped == 1
  assert peak < 10 << 20


def test_another_field_can_hold_the_text(tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_text('{"body": "one", "text": 2}\n', encoding="utf-8")
  assert texts(path, text_field="body") == ["one"]
  with pytest.raises(ValueError, match=r'a.jsonl:1: no "title" field'):
    texts(path, text_field="title")


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
  path.write_bytes(
    json_lines({"text": "one"}) + line + b"\n" + json_lines({"text": "2"})
  )
  with pytest.raises(ValueError, match=f"a.jsonl:2: (?:{BAD_LINES[line]})"):
    texts(path)
  corpus = Corpus(str(path), skip_bad_records=True)
  assert [document.text for document in corpus] == ["one", "2"]
  assert corpus.counts.skipped == 1


def test_bad_lines_of_plain_text_are_records(tmp_path):
  path = tmp_path / "a.txt.gz"
  path.write_bytes(gzip.compress(b"one\ncaf\xe9\nthree\n"))
  with pytest.raises(ValueError, match=r"a.txt.gz:2: not UTF-8 \(byte 0xe9"):
    texts(path)
  assert texts(path, skip_bad_records=True) == ["one\nthree"]
