# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of what is measured of letters: what is unknown, and what is lost."""

import pytest

from data_pipelines.tokenizers import letters
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.wordpiece import WordPiece
from data_pipelines.tokenizers.wordpiece_rules import Rules

TOKENS = [*SPECIALS, *"abcह漢か"]


def test_unknown_letters_are_counted_by_their_occurrences():
  measured = letters.measure_letters(WordPiece(TOKENS), ["A b\n字!", "c 字漢"])
  assert measured.characters == 7
  assert measured.unknown == 2
  assert measured.unknown_share == 3 / 7
  assert measured.unknown_commonest == "字!"


@pytest.mark.parametrize(
  ("text", "lost"),
  [
    ("ab é ñ А́й ΐ!", 0.0),
    ("हु ab", 1 / 4),  # ह, its vowel sign, a and b
    ("が漢! 12", 1 / 2),
  ],
)
def test_marks_that_matter_are_counted_where_they_are_removed(text, lost):
  assert letters.measure_letters(WordPiece(TOKENS), [text]).lost_marks == lost
  kept = WordPiece(TOKENS, rules=Rules(strip_accents=False))
  assert letters.measure_letters(kept, [text]).lost_marks == 0


def test_a_sample_ends_within_a_text(monkeypatch):
  monkeypatch.setattr(letters, "SAMPLE_CHARACTERS", 3)
  texts = iter(["ab", "ccc", "never read"])
  assert letters.measure_letters(WordPiece(TOKENS), texts).characters == 3
  assert next(texts) == "never read"


def test_no_text_has_no_letters():
  measured = letters.measure_letters(WordPiece(TOKENS), [" \n"])
  assert measured == letters.Letters(0, 0, 0.0, "", 0.0)
