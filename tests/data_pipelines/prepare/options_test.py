# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Mistakes in the options of preparing."""

import dataclasses

import pytest

from data_pipelines.prepare import prepare
from data_pipelines.prepare.options import make_plan


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"sentences": "words"}, "sentences='words'; give one of"),
    ({"documents": "line"}, "documents='line'; give one of"),
    ({"validation": "1.5"}, "validation=1.5; give a share"),
    ({"validation": "nan"}, "validation=nan; give a share"),
    ({"validation": "/nowhere/*.txt"}, "matches no file"),
    ({"corpus": "/nowhere.txt"}, "/nowhere.txt does not exist"),
    ({"tokenizer": "bpe"}, "tokenizer bpe does not exist"),
    ({"vocab_size": 7}, "vocab_size=7, but .* has 80 tokens"),
    ({"vocab_size": 10**9}, "vocab_size=1000000000; give 0 to 1048576"),
    ({"workers": -1}, "workers=-1"),
    (
      {"strip_accents": False},
      "strip_accents=False, but .* has .*=True; leave",
    ),
    ({"normalization": "nfc"}, "normalization=nfc, but .* has .*=none; leave"),
    ({"normalization": "nfd"}, "normalization='nfd'; give one of"),
    (
      {"tokenizer": "sentencepiece", "strip_accents": False},
      "strip_accents=False with sentencepiece, which never removes",
    ),
    (
      {"tokenizer": "albert", "normalization": "none"},
      "normalization=none with albert, which has nfkc; leave it out",
    ),
    (
      {"tokenizer": "roberta", "strip_accents": True},
      "strip_accents=True with roberta, which never removes",
    ),
    (
      {"tokenizer": "modernbert", "cased": True},
      "cased=True with modernbert, which never folds case; leave cased out",
    ),
    (
      {"tokenizer": "sentencepiece_bpe", "normalization": "nfc"},
      "normalization=nfc with sentencepiece_bpe, which has nfkc, or none",
    ),
    (
      {"tokenizer": "sentencepiece", "normalization": "none"},
      "normalization=none with sentencepiece, which has nfkc, or none with",
    ),
  ],
)
def test_mistakes_in_the_options_are_told_at_once(
  change, message, options, tmp_path
):
  before = sorted(tmp_path.iterdir())
  with pytest.raises(ValueError, match=message):
    prepare.prepare(dataclasses.replace(options, **change))
  assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
  ("given", "named"),
  [
    ({}, {}),
    ({"strip_accents": True, "normalization": "none"}, {}),
    ({"cased": True, "strip_accents": False}, {"cased": True}),
    ({"strip_accents": False}, {"strip_accents": False}),
    ({"normalization": "nfc"}, {"normalization": "nfc"}),
  ],
)
def test_a_recipe_names_only_unusual_rules(given, named, options):
  """So that stores of earlier versions are found to be the same."""
  asked = dataclasses.replace(
    options, tokenizer="wordpiece", vocab_size=90, **given
  )
  learn = {"learn": "wordpiece", "size": 90}
  assert make_plan(asked).recipe["tokenizer"] == learn | named
