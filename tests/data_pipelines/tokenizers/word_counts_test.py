# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
from data_pipelines.tokenizers import word_counts


def test_words_are_counted_in_bounded_memory(monkeypatch):
  counts = word_counts.count_words(["a b a", "c a c"], str.split)
  assert counts == {"a": 3, "b": 1, "c": 2}
  monkeypatch.setattr(
    word_counts, "MAX_CHARACTERS", 2 * (1 + word_counts.WORD_COST)
  )
  # At the limit new words are ignored, and known ones are still counted.
  counts = word_counts.count_words(["a b a", "c a c"], str.split)
  assert counts == {"a": 3, "b": 1}
  # Reading stops at `volume`, after a whole window.
  counts = word_counts.count_words(["a b a", "b a b"], str.split, volume=15)
  assert counts == {"a": 2, "b": 1}
  counts = word_counts.count_words(["a b a", "b a b"], str.split, volume=16)
  assert counts == {"a": 3, "b": 3}
  assert word_counts.commonest(counts, 2 * 9) == counts
  assert word_counts.commonest(counts, 9) == {"a": 3}  # the first of equals
  assert "".join(word_counts.repeated(counts)).split() == list("aaabbb")


def test_a_document_on_one_line_is_read_in_windows(monkeypatch):
  monkeypatch.setattr(word_counts, "_WINDOW", 4)
  seen = []

  def find(text):
    seen.append(text)
    return text.split()

  counts = word_counts.count_words(["ab cde fghijklmnop q"], find)
  assert max(map(len, seen)) <= 8
  assert "".join(seen) == "ab cde fghijklmnop q"
  assert counts["ab"] == counts["cde"] == 1
