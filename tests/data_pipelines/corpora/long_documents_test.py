# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json
import random

import pytest

from data_pipelines.corpora import long_documents
from data_pipelines.corpora.corpus import Corpus
from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.long_documents import join_lines, split_long
from data_pipelines.corpora.reading import ReadCounts
from tests.testing.memory import peak_bytes

MAX = 40


@pytest.fixture
def small(monkeypatch):
  monkeypatch.setattr(long_documents, "MAX_CHARACTERS", MAX)


def random_texts(count=300):
  draw = random.Random(7)
  for _ in range(count):
    letters = draw.choice(["ab", "ab ", "ab \n", "abcdefgh   \n", "a\n", " é"])
    yield "".join(draw.choices(letters, k=draw.randrange(0, 6 * MAX)))


@pytest.mark.usefixtures("small")
def test_parts_are_the_text_and_end_where_they_should():
  for text in random_texts():
    counts = ReadCounts()
    found = [part.text for part in split_long(Document("a", text), counts)]
    assert counts == ReadCounts(cut=len(found) - 1)
    start = 0
    for part in found[:-1]:
      end = start + len(part)
      assert text[start:end] == part
      assert 0 < len(part) <= MAX
      window = text[start + 1 : start + MAX + 1]
      if "\n" in window:
        assert text[end] == "\n"
        assert "\n" not in text[end + 1 : start + MAX + 1]
      elif any(character.isspace() for character in window):
        assert text[end].isspace()
        assert not any(map(str.isspace, text[end + 1 : start + MAX + 1]))
      else:
        assert len(part) == MAX
      start = end + text[end].isspace()
    assert text[start:] == found[-1]
    assert len(found[-1]) <= MAX


@pytest.mark.usefixtures("small")
def test_lines_are_cut_as_the_whole_text_is():
  for text in random_texts():
    one, other = ReadCounts(), ReadCounts()
    whole = list(join_lines("a", (text,), one))
    assert list(join_lines("a", text.split("\n"), other)) == whole
    assert one == other


@pytest.mark.usefixtures("small")
def test_every_part_has_a_name_of_its_own():
  found = list(
    split_long(Document("a.jsonl:3", "x" * (2 * MAX + 1)), ReadCounts())
  )
  names = [document.name for document in found]
  assert names == ["a.jsonl:3", "a.jsonl:3, part 2", "a.jsonl:3, part 3"]


@pytest.mark.parametrize("documents", ["file", "blank_line"])
def test_a_text_file_is_never_in_memory_whole(documents, tmp_path, monkeypatch):
  monkeypatch.setattr(long_documents, "MAX_CHARACTERS", 1 << 19)
  path = tmp_path / "a.txt"
  line = "some words " * 20 + "\n"
  path.write_text(line * 40_000, encoding="utf-8")  # 8.8 MB

  def read():
    corpus = Corpus(str(path), documents=documents)
    words = sum(document.text.count("some words") for document in corpus)
    assert words == 800_000
    assert corpus.counts.cut == 16

  assert peak_bytes(read, enough=5 << 20) < 5 << 20


def test_a_document_of_50_mb_on_one_line(tmp_path):
  path = tmp_path / "a.jsonl"
  text = "some words and more " * 2_500_000
  path.write_text(json.dumps({"text": text}) + "\n{}\n", encoding="utf-8")
  corpus = Corpus(str(path), skip_bad_records=True)
  found = [document.text for document in corpus]
  assert corpus.counts.cut == len(found) - 1 == 5
  assert corpus.counts.skipped == 1
  assert max(map(len, found)) <= long_documents.MAX_CHARACTERS
  assert " ".join(found) == text
