# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Byte-level BPE: exact, without unknown text, equal to transformers."""

import dataclasses
import json
import pickle
import unicodedata

import numpy as np
import pytest

from data_pipelines.tokenizers import kinds, tokenizers
from data_pipelines.tokenizers.added_tokens import AddedToken
from data_pipelines.tokenizers.byte_bpe import (
  ALPHABET,
  SPACE,
  ByteBPE,
  BytePairs,
)
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.template import Template
from tests.testing.byte_texts import ANY, LEARNED


@pytest.fixture(scope="module")
def made():
  return {
    kind: tokenizers.train(LEARNED, kind, 420) for kind in kinds.BYTE_LEVEL
  }


@pytest.fixture(scope="module", params=[*kinds.BYTE_LEVEL])
def tokenizer(request, made):
  return made[request.param]


@pytest.fixture(scope="module")
def roberta(made):
  return made["roberta"]


def theirs_of(tokenizer, folder):
  transformers = pytest.importorskip(
    "transformers", reason="transformers (extra hf) is not installed"
  )
  tokenizer.save(folder)
  return transformers.AutoTokenizer.from_pretrained(folder)


def test_ids_lead_back_to_the_text(tokenizer):
  for text, ids in zip(ANY, tokenizer.encode(ANY), strict=True):
    expected = text
    if tokenizer.normalization == "nfc":
      expected = unicodedata.normalize("NFC", text)
    assert tokenizer.decode(ids) == expected


def test_no_text_is_unknown_or_special(tokenizer):
  flat, _ = tokenizer.encode_flat([*ANY, " ".join(tokenizer.tokens)])
  assert not set(flat.tolist()) & {*tokenizer.special_ids.values()}


def test_half_characters_are_left_out(tokenizer):
  assert (
    tokenizer.encode(["a\ud800b"])[0].tolist()
    == tokenizer.encode(["ab"])[0].tolist()
  )
  ((ids_T, offsets_T2),) = tokenizer.encode_with_offsets(["a\ud800 fox"])
  assert offsets_T2[-1].tolist() == [3, 6]
  assert len(ids_T) == len(offsets_T2)


def test_transformers_gives_the_same_ids(tokenizer, tmp_path):
  theirs = theirs_of(tokenizer, tmp_path)
  names = [tokenizer.tokens[id_] for id_ in tokenizer.special_ids.values()]
  # It takes the names of special tokens in a text for these.
  texts = [t for t in ANY if not any(name in t for name in names)]
  assert len(texts) > 200
  for text, ids in zip(texts, tokenizer.encode(texts), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected, repr(text)
  assert len(theirs) == tokenizer.vocab_size
  for name, id_ in tokenizer.special_ids.items():
    assert getattr(theirs, f"{name}_token_id") == id_


def test_transformers_has_the_same_special_tokens_around_texts(
  tokenizer, tmp_path
):
  theirs = theirs_of(tokenizer, tmp_path)
  template = tokenizer.template
  a, b = tokenizer.encode(["the fox", "the lazy dog"])
  single, pair = theirs("the fox"), theirs("the fox", "the lazy dog")
  assert single["input_ids"] == template.join(a).tolist()
  assert pair["input_ids"] == template.join(a, b).tolist()
  typed = theirs("the fox", "the lazy dog", return_token_type_ids=True)[
    "token_type_ids"
  ]
  assert typed == template.types(len(a), len(b)).tolist()


def test_a_mask_takes_the_space_before_it(tokenizer, tmp_path):
  theirs = theirs_of(tokenizer, tmp_path)
  assert tokenizer.mask_takes_space
  mask = tokenizer.tokens[tokenizer.mask_id]
  found = theirs(f"the {mask} dog", add_special_tokens=False)["input_ids"]
  a, b = (ids.tolist() for ids in tokenizer.encode(["the", " dog"]))
  assert found == [*a, tokenizer.mask_id, *b]


def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
  tokenizer.save(tmp_path)
  for again in (
    tokenizers.load(tmp_path),
    pickle.loads(pickle.dumps(tokenizer)),
  ):
    assert isinstance(again, ByteBPE)
    assert again.pairs == tokenizer.pairs
    assert again.sha256 == tokenizer.sha256
    assert again.template == tokenizer.template
    for ours, theirs in zip(
      again.encode(ANY), tokenizer.encode(ANY), strict=True
    ):
      np.testing.assert_array_equal(ours, theirs)


def test_the_files_of_gpt2_are_enough(roberta, tmp_path):
  roberta.save(tmp_path)
  (tmp_path / "tokenizer.json").unlink()
  again = tokenizers.load(tmp_path)
  assert again.sha256 == roberta.sha256
  assert tokenizers.load(tmp_path / "vocab.json").sha256 == roberta.sha256


def test_a_word_begins_behind_a_space(tokenizer):
  text = " the quick dog, again: 3.14"
  (ids,) = tokenizer.encode([text])
  continues_V = tokenizer.vocabulary().continues_V
  tokens = [tokenizer.tokens[id_] for id_ in ids]
  for token, continues in zip(tokens, continues_V[ids], strict=True):
    assert continues != token.startswith(SPACE)
  words = sum(~continues_V[ids])
  assert words == len(text.split())


def test_words_begin_where_there_are_no_spaces(tokenizer):
  continues_V = tokenizer.vocabulary().continues_V
  letters = tokenizer.encode(["漢", "本", "👍", "字"])
  # Whether an ideograph is one token or three, its first byte begins a word.
  assert [not continues_V[ids[0]] for ids in letters] == [
    True,
    True,
    False,
    True,
  ]
  assert all(continues_V[ids[1:]].all() for ids in letters)


def test_no_ordinary_token_is_special(tokenizer):
  table = tokenizer.vocabulary()
  assert table.special_V.sum() == 5
  assert len(table.ordinary_W) == tokenizer.vocab_size - 5
  assert not table.continues_V[table.special_V].any()


def test_a_text_behind_a_space_begins_a_word(roberta):
  (plain,), (spaced,) = (
    roberta.encode([text]) for text in ("fox", roberta.after_space("fox"))
  )
  assert roberta.decode(spaced) == " fox"
  assert roberta.decode(plain) == "fox"
  prefixed = ByteBPE(dataclasses.replace(roberta.pairs, prefix_space=True))
  for text in ("fox", " fox", prefixed.after_space("fox")):
    np.testing.assert_array_equal(prefixed.encode([text])[0], spaced)
  assert prefixed.decode(spaced) == "fox"


def test_a_prefix_space_is_what_transformers_has(roberta, tmp_path):
  prefixed = ByteBPE(dataclasses.replace(roberta.pairs, prefix_space=True))
  theirs = theirs_of(prefixed, tmp_path)
  texts = ["fox", " fox", "the fox", "", "日本"]
  for text, ids in zip(texts, prefixed.encode(texts), strict=True):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids.tolist() == expected
  assert tokenizers.load(tmp_path).sha256 == prefixed.sha256


def test_added_tokens_are_matched_before_words(tokenizer, tmp_path):
  size = tokenizer.vocab_size
  added = (
    AddedToken(size, "   "),
    AddedToken(size + 1, "[E1]", special=True, normalized=False),
    AddedToken(size + 2, "[unused0]"),
  )
  more = ByteBPE(
    dataclasses.replace(
      tokenizer.pairs,
      tokens=(*tokenizer.tokens, *(t.content for t in added)),
      added=added,
    )
  )
  (ids,) = more.encode(["the[E1]   fox"])
  assert ids.tolist()[-5:][:1] != [size]
  assert {size, size + 1} <= set(ids.tolist())
  theirs = theirs_of(more, tmp_path)
  for text in ("the[E1]   fox", "a [E1] b", "   ", "[unused0]x"):
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert more.encode([text])[0].tolist() == expected
  assert tokenizers.load(tmp_path).sha256 == more.sha256
  table = more.vocabulary()
  assert table.special_V[size + 1]
  # One that only reserves an id is never drawn.
  assert size in table.ordinary_W
  assert not {size + 1, size + 2} & {*table.ordinary_W.tolist()}


def test_a_vocabulary_without_all_bytes_is_refused(roberta):
  tokens = tuple(t if t != "z" else "zebra" for t in roberta.tokens)
  merges = tuple(p for p in roberta.pairs.merges if "z" not in "".join(p))
  with pytest.raises(ValueError, match="no token for 1 of the 256 bytes"):
    ByteBPE(dataclasses.replace(roberta.pairs, tokens=tokens, merges=merges))


def test_templates_are_those_of_the_families(made):
  for kind, template in (
    ("roberta", Template.doubled(0, 2)),
    (
      "modernbert",
      Template.of_bert(
        *[made["modernbert"].special_ids[name] for name in ("cls", "sep")]
      ),
    ),
  ):
    assert made[kind].template == template


@pytest.mark.parametrize(
  ("specials", "make", "sha256"),
  [
    (
      ("<pad>", "<unk>", "<s>", "</s>", "<mask>"),
      Template.doubled,
      "fbd23df8089e2718cbcfb05694a313a64c1adde783a3d224a89c823a51dfec4f",
    ),
    (
      SPECIALS,
      Template.of_bert,
      "4d086e1d09b0cf4f7d93ec9496eb674c322ab1028ee786ad024d28c53a201bbd",
    ),
  ],
)
def test_stores_know_the_tokenizers_of_the_families(specials, make, sha256):
  """Frozen: a store that was made with one names it by this hash."""
  tokens = (*specials, *sorted(ALPHABET))
  pairs = BytePairs(tokens, (), specials, make(2, 3))
  assert ByteBPE(pairs).sha256 == sha256


def test_files_name_the_class_of_transformers(made, tmp_path):
  for kind, name in (
    ("roberta", "RobertaTokenizer"),
    ("modernbert", "PreTrainedTokenizerFast"),
  ):
    made[kind].save(tmp_path / kind)
    text = (tmp_path / kind / "tokenizer_config.json").read_text()
    assert json.loads(text)["tokenizer_class"] == name
