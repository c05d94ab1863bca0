# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pickle
import random

import numpy as np
import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.scripts import is_unspaced
from tests.testing.sentencepiece_models import learn_sentencepiece
from tests.testing.tokenizer_texts import TEXTS


def test_a_model_without_special_pieces_is_refused():
  message = r"the model has no \[CLS\] or <cls> or <s>, \[SEP\] or"
  with pytest.raises(ValueError, match=message):
    learn_sentencepiece(TEXTS, vocab_size=60, control_symbols=["<mask>"])


def test_a_symbol_for_masks_is_not_read_from_a_text():
  tokenizer = learn_sentencepiece(
    TEXTS,
    control_symbols=["[CLS]", "[SEP]"],
    user_defined_symbols=["[MASK]"],
    normalization_rule_name="identity",
    vocab_size=80,
  )
  assert tokenizer.mask_id == tokenizer.tokens.index("[MASK]")
  (ids,) = tokenizer.encode(["a [MASK] again"])
  assert tokenizer.mask_id not in ids
  (again,) = pickle.loads(pickle.dumps(tokenizer)).encode(["a [MASK] again"])
  assert again.tolist() == ids.tolist()


def test_bytes_are_pieces_of_words_and_decode_to_text():
  tokenizer = learn_sentencepiece(TEXTS, vocab_size=330, byte_fallback=True)
  (ids,) = tokenizer.encode(["over 漢字, again 😀"])
  assert tokenizer.unk_id not in ids
  assert tokenizer.decode(ids) == "over 漢字, again 😀"
  mixed = [tokenizer.mask_id, *ids[-5:], tokenizer.sep_id]
  assert tokenizer.decode(mixed) == "<mask> 😀 [SEP]"
  table = tokenizer.vocabulary()
  byte = tokenizer.tokens.index("<0xE6>")
  assert table.continues_V[byte]
  assert byte in table.ordinary_W
  specials = [tokenizer.tokens[i] for i in np.flatnonzero(table.special_V)]
  assert sorted(specials) == ["<mask>", "<pad>", "<unk>", "[CLS]", "[SEP]"]


def test_tokens_begin_words_in_text_without_spaces():
  """Of letters; a mark or a sign of length stays with what it follows."""
  tokenizer = learn_sentencepiece(TEXTS, vocab_size=58)
  begin = ["▁the", "漢字", "の", "カー", "ไทย", "မြန်", "▁漢", "▁"]
  inside = ["the", "ー", "é", "!", "。", "\u0e31", "한", "1", "x漢"]
  assert not any(map(tokenizer.continues, begin))
  assert all(map(tokenizer.continues, inside))


def test_where_words_begin_has_a_version_where_a_text_is_concerned():
  tokenizer = learn_sentencepiece(
    ["the 天地", "a 天地", "天 地"], vocab_size=20
  )
  unspaced = [
    id_ for id_, token in enumerate(tokenizer.tokens) if is_unspaced(token[:1])
  ]
  assert unspaced
  counts_V = np.ones(tokenizer.vocab_size, np.int64)
  assert tokenizer.words_version(counts_V) == 2
  counts_V[unspaced] = 0
  assert tokenizer.words_version(counts_V) == 1


def test_chinese_has_few_tokens_a_word():
  """So that whole words can be masked, and no vocabulary is called small."""
  rng = random.Random(0)
  words = [
    "".join(rng.choices("天地玄黄宇宙洪荒日月盈昃", k=2)) for _ in range(40)
  ]
  texts = ["".join(rng.choices(words, k=60)) + "。" for _ in range(50)]
  tokenizer = tokenizers.train(texts, "sentencepiece", 60)
  ids, _ = tokenizer.encode_flat(texts)
  counts_V = np.bincount(ids, minlength=tokenizer.vocab_size)
  begins_V = ~tokenizer.vocabulary().continues_V
  assert counts_V[begins_V].sum() > 0.9 * len(ids)
  assert tokenizer.unspaced_share(counts_V) > 0.9
