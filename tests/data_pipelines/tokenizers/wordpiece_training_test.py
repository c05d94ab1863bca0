# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of a learned WordPiece vocabulary."""

import collections
import random

import pytest

from data_pipelines.tokenizers import tokenizers, wordpiece_training
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.wordpiece_rules import Rules
from tests.testing.tokenizer_texts import TEXTS


def test_a_vocabulary_without_room_for_all_letters_is_refused():
  with pytest.raises(ValueError, match="vocab_size=20 has no room for the"):
    tokenizers.train(TEXTS, "wordpiece", 20)


def test_letters_that_continue_words_are_tokens_of_both_kinds():
  """Punctuation and ideographs are words of their own."""
  counts = collections.Counter({"ab": 5, "c": 1, "漢": 2, "!": 1, "😀": 1})
  tokens = wordpiece_training.learn_tokens(counts, 50)
  inside = ["##a", "##b", "##c", "##😀"]
  letters = ["!", "a", "b", "c", "漢", "😀"]
  assert tokens[:15] == [*SPECIALS, *inside, *letters]


def test_no_word_of_known_letters_is_unknown():
  """Letters and emoji that the text has only at the beginning of a word."""
  learned = tokenizers.train(["Ärger 😀 ⅔ ист 한국"] * 3, "wordpiece", 99)
  text = "ärger国"
  known = ["тси😀😀ä ä r한"]
  assert learned.unk_id not in learned.encode_flat(known)[0]
  assert learned.unk_id in learned.encode_flat([text])[0]


def test_the_letters_of_chinese_are_all_learned():
  """A few thousand ideographs, as common as the ranks of words say."""
  rng = random.Random(0)
  han = [chr(0x4E00 + i) for i in range(4000)]
  ranks = [1 / (rank + 20) for rank in range(len(han))]
  texts = ["".join(rng.choices(han, ranks, k=500)) for _ in range(400)]
  learned = tokenizers.train(texts, "wordpiece", 30_522)
  ids, _ = learned.encode_flat(texts)
  assert len(set("".join(texts))) > 3_500
  assert (ids == learned.unk_id).mean() < 0.002
  assert learned.vocab_size < 4_500  # no "##" token of an ideograph


def test_a_vocabulary_that_is_small_for_its_letters_says_so():
  texts = ["".join(chr(0x4E00 + i) for i in range(3000))]
  with pytest.raises(
    ValueError, match=r"vocab_size=2000 has no room for the 2975 special"
  ):
    tokenizers.train(texts, "wordpiece", 2000)


def test_words_are_counted_as_they_are_matched():
  """Cleaned, folded and split; equal words of any form are one."""
  counts = wordpiece_training.plain_words(["Café, cafe", "CAFÉ\ud800"], Rules())
  assert counts == {"cafe": 3, ",": 1}
  cased = wordpiece_training.plain_words(["Café cafe"], Rules(lowercase=False))
  assert cased == {"Café": 1, "cafe": 1}
