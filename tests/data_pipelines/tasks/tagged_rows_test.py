# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of words and tags, as data sets of the hub are."""

import pytest

from data_pipelines.tasks import tagged_rows
from data_pipelines.tasks.sentences import Sentence
from data_pipelines.tasks.table_files import BadRow, Row
from tests.testing import hub_rows

GOOD = {"tokens": ["a", "New York"], "ner_tags": ["O", "B-LOC"]}


def read(path, *, skip=False):
  return tagged_rows.read_file(path, "tokens", "ner_tags", skip)


def write(tmp_path, *rows):
  return hub_rows.write_lines(tmp_path / "a.jsonl", rows)


def test_a_row_is_a_sentence_with_its_place(tmp_path):
  path = write(tmp_path, GOOD, {"tokens": [" EU "], "ner_tags": ["I-ORG "]})
  assert read(path).examples == (
    Sentence(("a", "New York"), ("O", "B-LOC"), f"{path}:1"),
    Sentence(("EU",), ("I-ORG",), f"{path}:2"),
  )
  path = hub_rows.write(
    tmp_path / "b.jsonl", [("cod", "S-fish")], words="w", tags="t"
  )
  (found,) = tagged_rows.read_file(path, "w", "t", False).examples
  assert found[:2] == (("cod",), ("S-fish",))


def test_types_without_a_prefix_are_inside_tags(tmp_path):
  rows = [{**GOOD, "ner_tags": each} for each in (["O", "O"], ["LOC", "LOC"])]
  first, second = read(write(tmp_path, *rows)).examples
  assert (first.tags, second.tags) == (("O", "O"), ("I-LOC", "I-LOC"))


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (
      {"ner_tags": ["O"]},
      "has 2 words in 'tokens' and 1 tags in 'ner_tags'; every word needs a",
    ),
    ({"tokens": "a b"}, "has a string as 'tokens'; give a list of strings"),
    ({"ner_tags": None}, "has null as 'ner_tags'; give a list of strings"),
    ({"tokens": [], "ner_tags": []}, "has no words in the column 'tokens'"),
    ({"tokens": ["a", 3]}, "has a number as word 1 of 'tokens'; give a str"),
    ({"tokens": [" ", "b"]}, "has no text as word 0 of 'tokens'"),
    (
      {"ner_tags": [0, 3]},
      "has a number for the word 'a'; give the names of tags, such as B-PER",
    ),
    ({"ner_tags": [None, "O"]}, "has no tag for the word 'a'"),
    ({"ner_tags": ["O", ""]}, "has the word 'New York' and no tag"),
    ({"ner_tags": ["O", "LOC"]}, "has the tag 'LOC', and other tags of the"),
  ],
)
def test_a_bad_row_is_named_or_skipped_and_counted(tmp_path, change, message):
  path = write(tmp_path, GOOD, {**GOOD, **change})
  with pytest.raises(ValueError, match=f":2 {message}") as caught:
    read(path)
  assert "\n" not in str(caught.value)
  assert str(caught.value).endswith("give --config.task.skip_bad_rows")
  file = read(path, skip=True)
  assert len(file.examples) == 1
  (skipped,) = file.skipped
  assert skipped.startswith(f"{path}:2 ")


def test_a_file_without_a_usable_row_is_refused(tmp_path):
  path = write(tmp_path, {"words": ["a"], "ner_tags": ["O"]}, {"tokens": 3})
  with pytest.raises(
    ValueError, match=r":1 has no column 'tokens'; it has words.* \(2 rows are"
  ):
    read(path)
  with pytest.raises(ValueError, match=r"no sentences that can be used; .*:1 "):
    read(path, skip=True)


def test_words_are_read_without_their_tags(tmp_path):
  path = write(tmp_path, {"tokens": ["a", "b"]}, {"tokens": []}, GOOD)
  first, bad, last = tagged_rows.read_words(path, "tokens")
  assert first == Row(1, {"words": ("a", "b"), "text": "a b"})
  assert bad == BadRow(2, "has no words in the column 'tokens'")
  assert isinstance(last, Row)
  assert last.fields["text"] == "a New York"
