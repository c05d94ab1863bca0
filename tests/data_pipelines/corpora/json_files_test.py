# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import gzip

import pytest

from data_pipelines.corpora.corpus import Corpus
from tests.testing.json_lines import json_lines


def texts(path, **options):
  return [document.text for document in Corpus(str(path), **options)]


def test_another_field_can_hold_the_text(tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_text('{"body": "one", "text": 2}\n', encoding="utf-8")
  assert texts(path, text_field="body") == ["one"]
  with pytest.raises(ValueError, match=r'a.jsonl:1: no "title" field'):
    texts(path, text_field="title")


BAD_LINES = {
  b'{"text": "\xff"}': r"not UTF-8 \(byte 0xff at column 11\)",
  b'{"text": "a"': r"not JSON \(Expecting ',' delimiter at column",
  b"[1]": "a list, not an object",
  b'{"title": 1, "body": 2}': r'no "text" field \(it has body, title\)',
  b'{"text": null}': '"text" is null, not a string',
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


def test_json_that_is_not_one_object_a_line_says_how_to_convert_it(tmp_path):
  path = tmp_path / "a.json"
  for value in ('[{"text": "a"}]', '[\n{"text": "a"}\n]', '{\n"text": "a"\n}'):
    path.write_text(value)
    with pytest.raises(
      ValueError, match=r"a.json:1: .*each line.*jq -c '\.\[\]'"
    ):
      texts(path)


def test_a_folder_stands_for_its_compressed_json_only(tmp_path):
  line = json_lines({"text": "a"})
  (tmp_path / "a.json.gz").write_bytes(gzip.compress(line))
  (tmp_path / "config.json").write_bytes(line)
  corpus = Corpus(str(tmp_path))
  assert len(list(corpus)) == 1
  assert corpus.passed_over == {".json": 1}
  for spec in (f"{tmp_path}/*.json", f"{tmp_path}/config.json"):
    assert texts(spec) == ["a"]
