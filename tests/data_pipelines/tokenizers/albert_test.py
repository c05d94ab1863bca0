# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""ALBERT's tokenizer: the ids of transformers' class on the same files."""

import json
import pickle
import re
import unicodedata

import numpy as np
import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.added_tokens import AddedToken
from data_pipelines.tokenizers.albert import Albert, Cleaning, train_albert
from data_pipelines.tokenizers.huggingface_import import load_huggingface
from tests.testing.byte_texts import ANY, LEARNED
from tests.testing.sentencepiece_models import learn_sentencepiece

CLEANINGS = [
  Cleaning(lowercase, strip_accents)
  for lowercase in (True, False)
  for strip_accents in (True, False)
]


@pytest.fixture(scope="module", params=CLEANINGS, ids=str)
def tokenizer(request):
  return train_albert(LEARNED, 74, request.param)


def test_special_tokens_are_alberts(tokenizer):
  assert tokenizer.tokens[:5] == ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
  assert tokenizer.name == "sentencepiece"


@pytest.mark.parametrize("without", ["nothing", "tokenizer.json"])
def test_transformers_gives_the_same_ids(tokenizer, without, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  tokenizer.save(tmp_path)
  (tmp_path / without).unlink(missing_ok=True)
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
  assert type(theirs).__name__ == "AlbertTokenizer"
  # It takes the names of special tokens in a text for these.
  names = tokenizer.tokens[:5]
  texts = [t for t in ANY if not any(name in t for name in names)]
  for text, ids in zip(texts, tokenizer.encode(texts), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected, repr(text)
  a, b = tokenizer.encode(["The fox", "the dog"])
  pair = theirs("The fox", "the dog")
  assert pair["input_ids"] == tokenizer.template.join(a, b).tolist()
  expected = tokenizer.template.types(len(a), len(b)).tolist()
  assert pair["token_type_ids"] == expected


def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
  tokenizer.save(tmp_path)
  for again in (
    tokenizers.load(tmp_path),
    pickle.loads(pickle.dumps(tokenizer)),
  ):
    assert isinstance(again, Albert)
    assert again.cleaning == tokenizer.cleaning
    assert again.sha256 == tokenizer.sha256
    for ours, theirs in zip(
      again.encode(ANY), tokenizer.encode(ANY), strict=True
    ):
      np.testing.assert_array_equal(ours, theirs)


def test_a_published_folder_says_albert_in_its_config(tokenizer, tmp_path):
  tokenizer.save(tmp_path)
  (tmp_path / "tokenizer_config.json").unlink()
  (tmp_path / "config.json").write_text(json.dumps({"model_type": "albert"}))
  again = tokenizers.load(tmp_path)
  assert isinstance(again, Albert)
  # Its code folds case and removes accents by default.
  assert again.cleaning == Cleaning()


def test_text_is_cleaned(tokenizer):
  lower, strip = tokenizer.lowercase, tokenizer.strip_accents
  plain, spelled = (
    tokenizer.encode([text])[0].tolist() for text in ("cafes", "Cafés")
  )
  assert (plain == spelled) == (lower and strip)
  quoted = tokenizer.encode(["``the fox''"])[0].tolist()
  assert quoted == tokenizer.encode(['"the fox"'])[0].tolist()


def cleaned(text, cleaning):
  """What ALBERT's cleaning and SentencePiece's rules (nmt_nfkc) leave."""
  text = text.replace("``", '"').replace("''", '"')
  if cleaning.strip_accents:
    text = unicodedata.normalize("NFKD", text)
    text = "".join(c for c in text if unicodedata.category(c)[0] != "M")
  if cleaning.lowercase:
    text = text.lower()
  text = re.sub("[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]", "", text)
  text = re.sub("[\ufeff\ufffd▁]", " ", unicodedata.normalize("NFKC", text))
  return " ".join(text.split())


def test_ids_lead_back_to_the_cleaned_text(tokenizer):
  known = 0
  for text, ids in zip(ANY, tokenizer.encode(ANY), strict=True):
    if tokenizer.unk_id not in ids:
      assert tokenizer.decode(ids) == cleaned(text, tokenizer.cleaning)
      known += 1
  assert known > 50  # the others have letters that the vocabulary lacks


def test_no_text_is_special(tokenizer):
  names = " ".join(tokenizer.tokens)
  flat, _ = tokenizer.encode_flat([*ANY, names, names.replace(" ", "")])
  found = set(flat.tolist()) & {*tokenizer.special_ids.values()}
  assert found <= {tokenizer.unk_id}


def test_a_word_begins_behind_a_space(tokenizer):
  (ids,) = tokenizer.encode(["the quick dog, again"])
  continues_V = tokenizer.vocabulary().continues_V
  assert (~continues_V[ids]).sum() == 4


def test_added_tokens_are_matched_before_words(tokenizer, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  size = tokenizer.vocab_size
  added = (
    AddedToken(size, "[E1]", special=True, normalized=False),
    AddedToken(size + 1, "Fox"),
  )
  more = Albert(tokenizer.model, tokenizer.cleaning, added=added)
  assert more.sha256 != tokenizer.sha256
  (ids,) = more.encode(["the[E1] Fox, dog"])
  assert {size, size + 1} <= set(ids.tolist())
  assert not more.vocabulary().continues_V[size:].any()
  assert more.decode([size]).strip() == "[E1]"
  more.save(tmp_path)
  for again in (
    tokenizers.load(tmp_path),
    pickle.loads(pickle.dumps(more)),
  ):
    assert again.sha256 == more.sha256
    assert again.encode(["a [E1]"])[0].tolist()[-1] == size
  dropped = load_huggingface(tmp_path, drop_added=True)
  assert dropped.sha256 == tokenizer.sha256
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
  for text in ("the[E1] Fox, dog", "fox [E1] b", "FOX"):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert more.encode([text])[0].tolist() == expected


def test_a_model_that_is_not_alberts_is_refused():
  for options, message in (
    ({"model_type": "bpe"}, "is no unigram model, or has tokens of"),
    ({"unk_id": 3, "pad_id": 0}, "has its unknown token at id 3"),
  ):
    other = learn_sentencepiece(LEARNED, vocab_size=84, **options)
    with pytest.raises(ValueError, match=message):
      Albert(other.model)
