# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The table of what is learned says what the learned tokenizers do."""

import itertools

import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.kinds import BYTE_LEVEL, KINDS, kinds_of
from data_pipelines.tokenizers.wordpiece_rules import FORMS


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_says_what_its_tokenizers_do(name, learned):
  kind, tokenizer = KINDS[name], learned[name, True]
  assert type(tokenizer) is kind.tokenizer
  assert tokenizer.normalization == kind.normalization
  assert tokenizer.lowercase == kind.folds_case
  assert tokenizer.strip_accents == (kind.accents != "never")
  cased = learned[name, False]
  assert not cased.lowercase
  assert cased.strip_accents == (kind.accents == "usually")


@pytest.mark.parametrize("name", KINDS)
def test_rules_are_taken_or_refused_as_the_table_says(name):
  kind = KINDS[name]
  for lowercase, form in itertools.product((True, False), ("none", *FORMS)):
    rules = {"lowercase": lowercase, "normalization": form}
    allowed = {*kind.forms, *(() if lowercase else kind.cased_forms)}
    if form in allowed:
      tokenizers.check_rules(name, strip_accents=None, **rules)
    else:
      with pytest.raises(
        ValueError, match=f"^normalization={form} with {name}"
      ):
        tokenizers.check_rules(name, strip_accents=None, **rules)
  rules = {"lowercase": True, "strip_accents": True, "normalization": ""}
  if kind.accents == "never":
    with pytest.raises(ValueError, match=f"strip_accents=True with {name}"):
      tokenizers.check_rules(name, **rules)
  else:
    tokenizers.check_rules(name, **rules)


def test_the_plainest_kind_of_a_tokenizer_comes_first():
  assert kinds_of("wordpiece") == ["wordpiece"]
  assert kinds_of("sentencepiece")[0] == "sentencepiece"
  assert kinds_of("byte_bpe") == [*BYTE_LEVEL] == ["roberta", "modernbert"]
