# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the rules: the ids are those of the library, whatever they are."""

import itertools
import pickle
import random
import unicodedata
from typing import get_args

import pytest

from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.vocabulary_extension import extend
from data_pipelines.tokenizers.wordpiece import WordPiece
from data_pipelines.tokenizers.wordpiece_rules import Normalization, Rules
from tests.testing.tokenizer_texts import HOSTILE, assert_equals_library

LETTERS = "abzAZ09éÉö漢字豈のがハ가각<≮.!。，“½ǆ"
MARKS = "\u0301\u0308\u0338\u3099\u0327\u093c\u05b0\u11a8\u20e3\ufe0f"
SPACES = " \t\n\r\u00a0\u3000\u2028\0\x07\x85\u00ad\u200d"
_EITHER = (True, False)
ALL = [
  Rules(lowercase, strip_accents, split, clean, normalization)
  for lowercase, strip_accents, split, clean in itertools.product(
    _EITHER, _EITHER, _EITHER, _EITHER
  )
  for normalization in get_args(Normalization)
]


def make_wordpiece(rules):
  letters = dict.fromkeys(LETTERS + MARKS)
  return WordPiece(
    [*SPECIALS, *letters, *(f"##{c}" for c in letters)], rules=rules
  )


@pytest.mark.parametrize("rules", ALL, ids=str)
def test_random_text_gives_the_ids_of_the_library(rules):
  """Marks behind everything, ideographs and punctuation included."""
  rng = random.Random(0)
  alphabet = LETTERS + 3 * MARKS + SPACES
  texts = [
    "".join(rng.choices(alphabet, k=rng.randrange(30))) for _ in "x" * 300
  ]
  assert_equals_library(make_wordpiece(rules), [*texts, *HOSTILE])


@pytest.mark.parametrize("normalization", ["none", "nfc", "nfkc"])
def test_no_mark_combines_with_what_is_cut_off(normalization):
  """Each mark of Unicode behind an ideograph and behind punctuation."""
  codes = (code for code in range(0x110000) if not 0xD800 <= code < 0xE000)
  marks = [c for c in map(chr, codes) if unicodedata.category(c)[0] == "M"]
  assert len(marks) > 2_000
  texts = [f"漢{c}字x 豈{c}. <{c}a, ={c} 。{c} ${c}" for c in marks]
  for strip in (True, False):
    rules = Rules(strip_accents=strip, normalization=normalization)
    assert_equals_library(make_wordpiece(rules), texts)


def test_ideographs_are_cached_one_by_one():
  tokenizer = make_wordpiece(Rules())
  tokenizer.encode(["漢字の漢。字漢abc漢", "字漢が，漢"])
  assert set(tokenizer._words) == {"\n", *"漢字の。が，", "abc"}


def test_rules_reach_workers_and_extensions():
  rules = Rules(strip_accents=False, normalization="nfc")
  tokenizer = make_wordpiece(rules)
  assert pickle.loads(pickle.dumps(tokenizer)).rules == rules
  made = extend(tokenizer, ["éaé éaé e\u0301ae\u0301 aéa"] * 9, 1)
  assert made.tokenizer.rules == rules
  assert made.tokenizer.tokens[-1] == "éaé"


def test_rules_are_named_only_where_they_are_not_those_of_google():
  assert str(Rules()) == "uncased"
  assert str(Rules(lowercase=False)) == "cased"
  assert str(Rules(strip_accents=True)) == "uncased"
  assert str(Rules(True, False, normalization="nfc")) == (
    "uncased strip_accents=False normalization=nfc"
  )
