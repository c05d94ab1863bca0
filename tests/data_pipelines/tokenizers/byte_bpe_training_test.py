# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.byte_bpe import ALPHABET
from data_pipelines.tokenizers.byte_bpe_training import train_byte_bpe
from data_pipelines.tokenizers.kinds import BYTE_LEVEL, KINDS
from tests.testing.byte_texts import LEARNED


@pytest.mark.parametrize("kind", BYTE_LEVEL)
def test_a_vocabulary_is_special_tokens_bytes_and_merges(kind):
  specials = BYTE_LEVEL[kind]
  learned = train_byte_bpe(LEARNED, 300, specials, KINDS[kind].normalization)
  assert learned.vocab_size == 300
  first, last = len(specials.first), len(specials.last)
  assert tuple(learned.tokens[:first]) == specials.first
  assert tuple(learned.tokens[-last:]) == specials.last
  assert set(learned.tokens[first : first + 256]) == ALPHABET
  merged = ["".join(pair) for pair in learned.pairs.merges]
  assert learned.tokens[first + 256 : -last] == merged
  assert learned.normalization == KINDS[kind].normalization


def test_robertas_padding_has_the_id_that_its_positions_count_from():
  learned = tokenizers.train(LEARNED, "roberta", 300)
  ids = learned.special_ids
  assert (ids["cls"], ids["pad"], ids["sep"], ids["unk"]) == (0, 1, 2, 3)
  assert ids["mask"] == 299


@pytest.mark.parametrize("kind", BYTE_LEVEL)
def test_too_small_a_vocabulary_is_refused(kind):
  with pytest.raises(
    ValueError, match=r"vocab_size=260 has no .* at least 261"
  ):
    train_byte_bpe(LEARNED, 260, BYTE_LEVEL[kind])
  least = train_byte_bpe(LEARNED, 261, BYTE_LEVEL[kind])
  assert least.pairs.merges == ()


def test_another_form_of_the_text_is_learned():
  texts = ["ＡＢＣ ＡＢＣ"] * 3
  folded = tokenizers.train(texts, "roberta", 300, normalization="nfkc")
  assert "ĠABC" in folded.tokens
  assert folded.normalization == "nfkc"
  (ids,) = folded.encode([" ＡＢＣ"])
  assert [folded.tokens[id_] for id_ in ids] == ["ĠABC"]


def test_an_empty_text_gives_the_bytes_alone():
  learned = tokenizers.train(["", " \n "], "modernbert", 300)
  assert learned.vocab_size == 261
