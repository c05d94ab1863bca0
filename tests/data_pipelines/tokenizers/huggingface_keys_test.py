# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the keys in a tokenizer's files: none is passed over in silence."""

import collections

import pytest

from data_pipelines.tokenizers import huggingface_keys, tokenizers
from data_pipelines.tokenizers.huggingface_import import load_huggingface
from tests.testing.tokenizer_folders import (
  CONFIG,
  FAST,
  change,
  write,
)

TABLES = (
  huggingface_keys.FIXED,
  huggingface_keys.HONORED,
  huggingface_keys.WITHOUT_EFFECT,
)


def test_a_key_is_in_one_table():
  for part in huggingface_keys.FIXED:
    known = collections.Counter(key for table in TABLES for key in table[part])
    assert set(known.values()) <= {1}, part
  assert TABLES[0].keys() == TABLES[1].keys() == TABLES[2].keys()


@pytest.mark.parametrize("load", [load_huggingface, tokenizers.load])
@pytest.mark.parametrize(
  ("file", "fields", "message"),
  [
    (CONFIG, {"word_tokenizer_type": "mecab"}, "about word_tokenizer_type='m"),
    (CONFIG, {"tokenizer_class": "XLNetTokenizer"}, "tokenizer_class is XLNet"),
    (CONFIG, {"do_basic_tokenize": False}, "do_basic_tokenize is False; only"),
    (CONFIG, {"never_split": ["a"]}, r"never_split is \['a'\]; only"),
    (
      CONFIG,
      {"truncation_side": "left"},
      "truncation_side is left; only right",
    ),
    (CONFIG, {"cls_token": "<s>"}, r"cls_token is <s>; the special token of"),
    (CONFIG, {"sep_token": {"content": "</s>"}}, "sep_token is </s>; the spec"),
    (CONFIG, {"strip_accents": "no"}, "strip_accents=no and tokenizer.json"),
    (CONFIG, {"normalization": "nfd"}, "normalization=nfd and tokenizer.json"),
    (
      CONFIG,
      {"additional_special_tokens": ["[ENT]"], "split_special_tokens": True},
      r"split_special_tokens=True, which makes plain text of \[ENT\]",
    ),
    (
      CONFIG,
      {"added_tokens_decoder": {"15": {"content": "[ENT]"}}},
      r"'\[ENT\]' has id 15, and tokenizers would give it id 14",
    ),
    (FAST, {"model__max_input_chars_per_word": 50}, "per_word=200 and tok"),
    (FAST, {"model__continuing_subword_prefix": "@"}, "prefix is @; only ##"),
    (FAST, {"model__dropout": 0.1}, "about model dropout=0.1; remove"),
    (FAST, {"normalizer__lang": "tr"}, "about normalizer lang='tr'; remove"),
    (FAST, {"truncation": {"direction": "Left"}}, "direction is Left; only"),
    (FAST, {"post_processor__single": []}, r"make \[CLS\] A \[SEP\] B"),
    (FAST, {"later": 1}, "nothing is known about later=1; remove the key"),
  ],
)
def test_no_key_is_passed_over(load, file, fields, message, tmp_path):
  folder = write(tmp_path / "t")
  change(folder / file, **fields)
  with pytest.raises(ValueError, match=message) as caught:
    load(folder)
  assert "\n" not in str(caught.value)
