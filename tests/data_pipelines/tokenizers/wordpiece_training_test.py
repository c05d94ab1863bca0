# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of a learned WordPiece vocabulary."""

import collections

import pytest

from data_pipelines.tokenizers import tokenizers, wordpiece_training
from data_pipelines.tokenizers.special_tokens import SPECIALS
from tests.testing.tokenizer_texts import TEXTS


def test_a_vocabulary_without_room_for_all_letters_is_refused():
  with pytest.raises(ValueError, match="vocab_size=20 has no room for the"):
    tokenizers.train(TEXTS, "wordpiece", 20)


def test_the_commonest_letters_are_tokens_and_rare_ones_are_unknown(
  monkeypatch,
):
  """By occurrences, not by words; "##x" only where a word goes on with x."""
  monkeypatch.setattr(wordpiece_training, "_MAX_ALPHABET", 3)
  counts = collections.Counter({"ab": 5, "ad": 4, "cc": 1, "e": 1})
  assert wordpiece_training.learn_tokens(counts, 20)[:10] == [
    *SPECIALS,
    *("##b", "##d"),
    *("a", "b", "d"),
  ]
  tokens = wordpiece_training.learn_tokens(counts, 20)
  assert set(tokens).isdisjoint({"c", "e", "##c", "##e"})


def test_words_are_counted_as_they_are_matched():
  """Cleaned, folded and split; equal words of any form are one."""
  counts = wordpiece_training.plain_words(
    ["Café, cafe", "CAFÉ\ud800"], lowercase=True
  )
  assert counts == {"cafe": 3, ",": 1}
  cased = wordpiece_training.plain_words(["Café cafe"], lowercase=False)
  assert cased == {"Café": 1, "cafe": 1}
