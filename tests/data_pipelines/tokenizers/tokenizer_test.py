# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What every tokenizer holds to."""

import numpy as np
import pytest

from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.wordpiece import WordPiece
from tests.testing.tokenizer_texts import HOSTILE, ODD, TEXTS


def test_text_never_gives_a_special_id(trained, spm):
  for tokenizer in (trained, spm):
    specials = {
      tokenizer.pad_id,
      tokenizer.cls_id,
      tokenizer.sep_id,
      tokenizer.mask_id,
    }
    flat, _ = tokenizer.encode_flat([*ODD, " ".join(tokenizer.tokens)])
    assert not specials & set(flat.tolist())


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_encode_flat_concatenates_encode(kind, learned):
  tokenizer = learned[kind, True]
  texts = ["", *TEXTS[:3], "", "a\nb", ""]
  flat, lengths = tokenizer.encode_flat(texts)
  apart = [tokenizer.encode([text])[0] for text in texts]
  assert flat.dtype == np.int32
  assert lengths.tolist() == [len(ids) for ids in apart]
  np.testing.assert_array_equal(flat, np.concatenate(apart))
  assert tokenizer.encode([]) == []


def test_decoding_gives_the_text_back(trained, spm):
  text = "the quick brown fox jumps over the lazy dog, again and again."
  for tokenizer in (trained, spm):
    assert tokenizer.decode(tokenizer.encode([text])[0]) == text
    shown = tokenizer.decode([tokenizer.mask_id, *tokenizer.encode(["fox"])[0]])
    assert shown == "[MASK] fox"


def test_vocabulary_tables(trained, spm):
  counts = np.zeros(trained.vocab_size, np.int64)
  counts[20] = 78
  table = trained.vocabulary(counts)
  assert table.size == trained.vocab_size
  assert np.flatnonzero(table.special_V).tolist() == [0, 1, 2, 3, 4]
  assert table.ordinary_W.tolist() == list(range(5, trained.vocab_size))
  inner = [token.startswith("##") for token in trained.tokens]
  assert table.continues_V.tolist() == inner
  assert table.log_unigram_V is not None
  assert np.isclose(np.exp(table.log_unigram_V.astype(float)).sum(), 1)
  smoothed = np.log(79 / (78 + trained.vocab_size))
  assert np.isclose(table.log_unigram_V[20], smoothed)
  with pytest.raises(ValueError, match="7 token counts for a vocabulary"):
    trained.vocabulary(np.zeros(7, np.int64))
  table = spm.vocabulary()
  assert table.log_unigram_V is None
  starts = [
    token
    for token, inner in zip(spm.tokens, table.continues_V, strict=True)
    if not inner
  ]
  assert all(token.startswith("▁") for token in starts[5:])


def test_tables_of_the_published_vocabulary(real_data):
  path = real_data / "vocab" / "bert-base-uncased-vocab.txt"
  tokenizer = tokenizers.load(path)
  counts = np.zeros(tokenizer.vocab_size, np.int64)
  counts[2000] = 78
  table = tokenizer.vocabulary(counts)
  assert table.size == 30522
  assert (table.pad_id, table.unk_id, table.cls_id) == (0, 100, 101)
  assert (table.sep_id, table.mask_id) == (102, 103)
  assert np.flatnonzero(table.special_V).tolist() == [0, 100, 101, 102, 103]
  # [unused0] ... [unused993], and five special tokens.
  assert len(table.ordinary_W) == 30522 - 994 - 5
  assert table.ordinary_W.dtype == np.int32
  assert table.continues_V.sum() == 5828  # tokens that start with ##
  assert table.log_unigram_V is not None
  assert np.isclose(np.exp(table.log_unigram_V.astype(float)).sum(), 1)
  assert np.isclose(table.log_unigram_V[2000], np.log(79 / 30600))


def test_unused_tokens_are_not_drawn_as_replacements():
  tokens = ["[PAD]", "[unused0]", "[unused99]", *SPECIALS[1:], "a", "##b"]
  table = WordPiece(tokens).vocabulary()
  assert table.ordinary_W.tolist() == [7, 8]
  assert np.flatnonzero(table.special_V).tolist() == [0, 3, 4, 5, 6]
  assert np.flatnonzero(table.continues_V).tolist() == [8]


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_offsets_are_those_of_the_tokens_of_encode(kind, learned):
  tokenizer = learned[kind, True]
  texts = [*HOSTILE, "a\ud800b \udfffc"]
  encoded = tokenizer.encode_with_offsets(texts)
  for text, ids, (ids_T, offsets_T2) in zip(
    texts, tokenizer.encode(texts), encoded, strict=True
  ):
    np.testing.assert_array_equal(ids_T, ids)
    start_T, stop_T = offsets_T2.T
    assert (start_T <= stop_T).all()
    assert (stop_T <= len(text)).all()
    assert (np.diff(stop_T) >= 0).all()
  assert tokenizer.encode_with_offsets([]) == []


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_offsets_find_a_word_in_its_own_spelling(kind, learned):
  tokenizer = learned[kind, True]
  for text in ("The  Café again", "a\ud800b  Café", "Café."):
    ((ids_T, offsets_T2),) = tokenizer.encode_with_offsets([text])
    start = text.index("C")
    word = offsets_T2[
      (offsets_T2[:, 0] >= start) & (offsets_T2[:, 1] <= start + 4)
    ]
    word = word[word[:, 0] < word[:, 1]]
    assert text[word[0, 0] : word[-1, 1]] == "Café"
    assert len(ids_T) == len(offsets_T2)


def test_a_sentencepiece_without_offsets_is_named(spm, monkeypatch):
  monkeypatch.setattr(spm, "_processor", object())
  with pytest.raises(ValueError, match=r"install sentencepiece 0\.2\.3 or"):
    spm.encode_with_offsets(["a"])
