# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What every source leaves out and counts."""

from data_pipelines.corpora.corpus import Corpus
from tests.testing.json_lines import json_lines


def test_empty_documents_are_counted_and_left_out(tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_bytes(json_lines({"text": ""}, {"text": "x"}, {"text": " \n\0"}))
  corpus = Corpus(str(path))
  assert len(list(corpus)) == 1
  assert corpus.counts.empty == 2
  assert len(list(corpus)) == 1
  assert corpus.counts.empty == 2  # counts of the latest iteration only
  assert corpus.counts.position == corpus.size == path.stat().st_size


def test_short_documents_are_counted_and_left_out(tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_bytes(
    json_lines(*({"text": t} for t in ("", " 123 \n", "1234", "5")))
  )
  corpus = Corpus(str(path), min_characters=4)
  assert [document.text for document in corpus] == ["1234"]
  assert (corpus.counts.empty, corpus.counts.short) == (1, 2)
  path.write_bytes(json_lines({"text": " 123 \n"}, {"text": "é" * 3}))
  corpus = Corpus(str(path), min_characters=3)
  assert [document.text for document in corpus] == [" 123 \n", "é" * 3]
