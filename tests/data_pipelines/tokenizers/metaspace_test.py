# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers that the library defines: its ids, on any text."""

import dataclasses
import pickle

import numpy as np
import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.metaspace import Metaspace
from data_pipelines.tokenizers.sentencepiece_backend import SPACE
from data_pipelines.tokenizers.template import Template
from tests.testing.byte_texts import ANY
from tests.testing.metaspace_models import (
  GEMMA_ADDED,
  write_fairseq,
  write_gemma,
)

SEVERAL = [*ANY, "", " ", "   ", "a  b   c ", "\n\n\n", "\u202eab\u202c مرحبا"]


@pytest.fixture(scope="module", params=["gemma", "xlm-roberta", "camembert"])
def folder(request, tmp_path_factory):
  root = tmp_path_factory.mktemp(request.param)
  if request.param == "gemma":
    write_gemma(root)
  else:
    write_fairseq(root, request.param)
  return root


@pytest.fixture(scope="module")
def tokenizer(folder):
  return tokenizers.load(folder)


@pytest.fixture(scope="module")
def mmbert(tmp_path_factory):
  root = tmp_path_factory.mktemp("mmbert")
  backend = write_gemma(root)
  return tokenizers.load(root), backend


def names_of(tokenizer):
  return [tokenizer.tokens[id_] for id_ in tokenizer.special_ids.values()]


def test_mmbert_has_the_ids_of_the_library(mmbert):
  ours, backend = mmbert
  texts = [t for t in SEVERAL if not any(n in t for n in names_of(ours))]
  assert len(texts) > 200
  for text, ids in zip(texts, ours.encode(texts), strict=True):
    assert ids.tolist() == backend.encode(text, add_special_tokens=False).ids
  both = backend.encode("the fox", "a dog")
  a, b = ours.encode(["the fox", "a dog"])
  assert both.ids == ours.template.join(a, b).tolist()
  assert ours.template == Template((2,), (1,), (1,), second_type=0)


def test_ids_of_mmbert_lead_back_to_the_text(mmbert):
  """All characters but "▁", which is how a space is written."""
  ours, _ = mmbert
  for text, ids in zip(SEVERAL, ours.encode(SEVERAL), strict=True):
    assert ours.decode(ids) == text.replace(SPACE, " ")


def test_transformers_gives_the_same_ids(tokenizer, tmp_path):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  tokenizer.save(tmp_path)
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
  texts = [t for t in SEVERAL if not any(n in t for n in names_of(tokenizer))]
  for text, ids in zip(texts, tokenizer.encode(texts), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected, repr(text)
  a, b = tokenizer.encode(["the fox", "a dog"])
  pair = theirs("the fox", "a dog")
  assert pair["input_ids"] == tokenizer.template.join(a, b).tolist()
  assert "token_type_ids" not in pair
  assert theirs.mask_token_id == tokenizer.mask_id
  assert len(theirs) == tokenizer.vocab_size


def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
  tokenizer.save(tmp_path)
  for again in (
    tokenizers.load(tmp_path),
    pickle.loads(pickle.dumps(tokenizer)),
  ):
    assert isinstance(again, Metaspace)
    assert again.pieces == tokenizer.pieces
    assert again.sha256 == tokenizer.sha256
    for ours, theirs in zip(
      again.encode(SEVERAL), tokenizer.encode(SEVERAL), strict=True
    ):
      np.testing.assert_array_equal(ours, theirs)


def test_no_text_is_special(tokenizer):
  names = names_of(tokenizer)
  flat, _ = tokenizer.encode_flat([*ANY, " ".join(names), "".join(names)])
  found = set(flat.tolist()) & {*tokenizer.special_ids.values()}
  assert found <= {tokenizer.unk_id}


def test_a_word_begins_behind_a_space(tokenizer):
  text = tokenizer.after_space("the quick dog, again: 3.14")
  (ids,) = tokenizer.encode([text])
  continues_V = tokenizer.vocabulary().continues_V
  assert (~continues_V[ids]).sum() == 5
  assert [tokenizer.decode(ids).split()[:2]] == [["the", "quick"]]


def test_words_begin_where_there_are_no_spaces(mmbert):
  ours, _ = mmbert
  assert not ours.continues("漢")
  assert not ours.continues("\n\n")
  assert ours.continues("<0xE6>")
  assert ours.continues("ing")


def test_a_reserved_id_is_never_drawn(mmbert):
  ours, _ = mmbert
  table = ours.vocabulary()
  drawn = {ours.tokens[id_] for id_ in table.ordinary_W}
  assert not {"<unused0>", *names_of(ours)} & drawn
  assert {"\n\n", "<table>", "<0xE6>"} <= drawn
  assert table.special_V.sum() == 5
  assert [t.content for t in ours.added] == [*GEMMA_ADDED]


def test_places_lie_in_the_text(tokenizer):
  (found,) = tokenizer.encode_with_offsets(["the  quick fox"])
  # A lone "▁" stands where the letter behind it does.
  places = dict.fromkeys(map(tuple, found.offsets_T2.tolist()))
  words = ["the  quick fox"[a:b] for a, b in places]
  assert "".join(words) == "thequickfox"


def test_rules_are_those_that_text_shows(tokenizer):
  assert not tokenizer.lowercase
  assert not tokenizer.strip_accents
  is_gemma = "<bos>" in tokenizer.tokens
  assert tokenizer.normalization == ("none" if is_gemma else "nfkc")


def test_text_must_have_marked_spaces(tokenizer):
  steps = '{"normalizer": null, "pre_tokenizer": null, "decoder": null}'
  with pytest.raises(ValueError, match="makes 'a b' of \"a b\", and only"):
    Metaspace(dataclasses.replace(tokenizer.pieces, steps=steps))
  with pytest.raises(ValueError, match=r"`tokenizers` cannot read it \("):
    Metaspace(dataclasses.replace(tokenizer.pieces, model='{"type": "BPE"}'))
