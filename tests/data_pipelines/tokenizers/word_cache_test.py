# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Remembered words change no id."""

import dataclasses

import numpy as np
import pytest

from data_pipelines.tokenizers import kinds, word_cache
from data_pipelines.tokenizers.added_tokens import AddedToken
from data_pipelines.tokenizers.byte_bpe import ByteBPE
from data_pipelines.tokenizers.word_cache import WordCache, as_bytes
from tests.testing.byte_texts import ANY, LEARNED

# Spaces, marks behind a space, and letters that take a space into their
# grapheme.
SPACED = [
  *LEARNED,
  *("the fox", " the fox", "the fox ", "the  fox", "the\tfox", "the \u0301fox"),
  *("a \u200dfox", "\u0600 fox", "x\u0d4e fox", "ｶ ﾞ", "“fox” – dog…", "é à"),
  *("\u1112 \u1161", "🇩 🇪", "👍 🏽", "a\x1fb c", "İ SS ΣΑΣ ﬁ", "`` fox ''"),
]
TEXTS = [
  *ANY,
  *SPACED,
  *(f"{a} {b}" for a, b in zip(ANY, reversed(ANY), strict=True)),
]


def assert_as_whole(tokenizer, texts):
  for _ in range(2):  # filled, and from memory
    flat, lengths = tokenizer.encode_flat(texts)
    places = tokenizer.encode_with_offsets(texts)  # remembers nothing
    for text, ids, found in zip(
      texts, np.split(flat, np.cumsum(lengths)[:-1]), places, strict=True
    ):
      assert ids.tolist() == found.ids_T.tolist(), repr(text)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("kind", [*kinds.BYTE_LEVEL, "albert"])
def test_ids_are_those_of_whole_texts(kind, lowercase, learned):
  assert_as_whole(learned[kind, lowercase], TEXTS)


def test_words_are_remembered(learned):
  tokenizer = learned["roberta", True]
  tokenizer.encode(["the fox the fox"])
  assert {"the", " fox", " the"} <= tokenizer.words.keys()
  flat, _ = tokenizer.encode_flat(["the fox"])
  flat[0] = 0  # the array is the caller's own
  assert tokenizer.encode(["the fox"])[0][0] != 0


@pytest.mark.parametrize("prefix_space", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_added_tokens_are_matched_in_whole_texts(
  normalized, prefix_space, learned
):
  pairs = learned["modernbert", True].pairs
  size = len(pairs.tokens)
  added = (
    AddedToken(size, "fox the", normalized=normalized),
    AddedToken(size + 1, "été", normalized=normalized, lstrip=True),
  )
  more = ByteBPE(
    dataclasses.replace(
      pairs,
      tokens=(*pairs.tokens, "fox the", "été"),
      added=added,
      prefix_space=prefix_space,
    )
  )
  assert_as_whole(
    more, [*TEXTS, "a fox the dog", "a e\u0301te\u0301", "a  été"]
  )


def test_words_are_forgotten_before_they_fill_memory(learned, monkeypatch):
  tokenizer = learned["roberta", True]
  cache = WordCache(tokenizer.make_backend())
  assert cache["fox"] == as_bytes(tokenizer.encode(["fox"])[0])
  assert cache.size > 100
  cache.trim()
  assert cache
  monkeypatch.setattr(word_cache, "MAX_CACHE", 10)
  cache.trim()
  assert not cache
  assert cache.size == 0
