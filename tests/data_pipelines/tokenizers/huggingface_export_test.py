# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.testing.sentencepiece_models import learn_sentencepiece
from tests.testing.tokenizer_texts import GENERAL, ODD, TEXTS


@pytest.mark.parametrize("kind", [*GENERAL, "bpe"])
def test_transformers_gives_the_same_ids(kind, learned, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  if kind == "bpe":
    tokenizer = learn_sentencepiece(TEXTS, model_type="bpe", vocab_size=58)
  else:
    tokenizer = learned[kind, True]
  tokenizer.save(tmp_path)
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
  texts = [text for text in ODD if not text.startswith("[MASK]")] + TEXTS
  for text, ids in zip(texts, tokenizer.encode(texts), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected, repr(text)
  assert len(theirs) == tokenizer.vocab_size
  a, b = (tokenizer.encode([text])[0].tolist() for text in TEXTS[:2])
  pair = theirs(TEXTS[0], TEXTS[1])
  cls, sep = tokenizer.cls_id, tokenizer.sep_id
  assert pair["input_ids"] == [cls, *a, sep, *b, sep]
  assert pair["token_type_ids"] == [0] * (len(a) + 2) + [1] * (len(b) + 1)
  assert theirs.mask_token_id == tokenizer.mask_id
  assert theirs.pad_token_id == tokenizer.pad_id


def test_bert_tokenizer_of_transformers_gives_the_same_ids(trained, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  vocabulary = {token: i for i, token in enumerate(trained.tokens)}
  theirs = transformers.BertTokenizer(vocabulary)
  # It stops at words of 100 characters and knows "[MASK]" in a text.
  texts = [t for t in ODD if "[MASK]" not in t and "y" * 101 not in t] + TEXTS
  for text, ids in zip(texts, trained.encode(texts), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected, repr(text)
