# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of choosing tokens that shorten a text."""

import collections

from data_pipelines.tokenizers import new_tokens
from data_pipelines.tokenizers.special_tokens import SPECIALS, UNK
from data_pipelines.tokenizers.vocabulary_extension import extend
from data_pipelines.tokenizers.wordpiece import WordPiece


def count_tokens(tokenizer, texts):
  return len(tokenizer.encode_flat(texts)[0])


def test_the_inside_of_a_word_is_split_as_behind_its_beginning():
  tokens = [*SPECIALS, *"things", *(f"##{c}" for c in "things"), "##ing"]
  splitter = new_tokens.WordTokenizer(tokens)
  inside = [tokens[id_] for id_ in splitter.ids("##things")]
  assert inside == ["##t", "##h", "##ing", "##s"]
  assert splitter.ids("##ñs") == [tokens.index(UNK)]
  assert splitter.cost("##ñs") == 2


def test_no_token_is_kept_that_costs_more_than_it_saves():
  """The longest match is taken first: "abc" would prevent "##cdef"."""
  tokens = [*SPECIALS, *"abcdef", *(f"##{c}" for c in "abcdef")]
  old = WordPiece([*tokens, "ab", "##cdef"])
  texts = ["abcdef " * 50 + "abc " * 10]
  made = extend(old, texts, 1)
  assert count_tokens(made.tokenizer, texts) < count_tokens(old, texts)
  counts = collections.Counter({"abcdef": 50, "abc": 10})
  use = new_tokens._Sample(old.tokens, counts).savings(["abc"])
  assert use.saved["abc"] == 60
  assert use.net["abc"] == 10 - 2 * 50
  assert use.useful() == []
