# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pickle

import numpy as np
import pytest

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
