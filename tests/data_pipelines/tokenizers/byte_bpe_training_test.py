# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.byte_bpe import ALPHABET
from data_pipelines.tokenizers.byte_bpe_training import (
  FAMILIES,
  train_byte_bpe,
)
from tests.testing.byte_texts import LEARNED


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_vocabulary_is_special_tokens_bytes_and_merges(kind):
  family = FAMILIES[kind]
  learned = train_byte_bpe(LEARNED, 300, kind)
  assert learned.vocab_size == 300
  first, last = len(family.first), len(family.last)
  assert tuple(learned.tokens[:first]) == family.first
  assert tuple(learned.tokens[-last:]) == family.last
  assert set(learned.tokens[first : first + 256]) == ALPHABET
  merged = ["".join(pair) for pair in learned.pairs.merges]
  assert learned.tokens[first + 256 : -last] == merged
  assert learned.normalization == family.normalization


def test_robertas_padding_has_the_id_that_its_positions_count_from():
  learned = train_byte_bpe(LEARNED, 300, "roberta")
  ids = learned.special_ids
  assert (ids["cls"], ids["pad"], ids["sep"], ids["unk"]) == (0, 1, 2, 3)
  assert ids["mask"] == 299


@pytest.mark.parametrize("kind", FAMILIES)
def test_too_small_a_vocabulary_is_refused(kind):
  with pytest.raises(
    ValueError, match=r"vocab_size=260 has no .* at least 261"
  ):
    train_byte_bpe(LEARNED, 260, kind)
  assert train_byte_bpe(LEARNED, 261, kind).pairs.merges == ()


def test_another_form_of_the_text_is_learned():
  texts = ["ＡＢＣ ＡＢＣ"] * 3
  folded = tokenizers.train(texts, "roberta", 300, normalization="nfkc")
  assert "ĠABC" in folded.tokens
  assert folded.normalization == "nfkc"
  (ids,) = folded.encode([" ＡＢＣ"])
  assert [folded.tokens[id_] for id_ in ids] == ["ĠABC"]


def test_an_empty_text_gives_the_bytes_alone():
  assert train_byte_bpe(["", " \n "], 300, "modernbert").vocab_size == 261
