# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""From texts to the encoder's features.

A row is one example, as in BERT: `[CLS] a [SEP]`, or `[CLS] a [SEP] b [SEP]`
where b has type 1 (Devlin et al., 2018, figure 2).
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from bertjax.batch import ENCODER_FEATURES, Batch, Vocabulary, empty_batch


class Tokenizer(Protocol):
  """What a reader needs of a tokenizer."""

  pad_id: int
  cls_id: int
  sep_id: int

  def encode(self, texts: Sequence[str]) -> Sequence[np.ndarray]:
    """Return the token ids of each text, without special tokens."""
    ...

  def vocabulary(self) -> Vocabulary:
    """Return tables over the vocabulary."""
    ...


@dataclasses.dataclass(frozen=True)
class EncodedTexts:
  """Rows of texts, and what was counted while they were made.

  Attributes:
    features: `ENCODER_FEATURES` with a row for each text, R = 1.
    cut: number of rows that lost tokens.
    empty: number of rows with a text that has no token.
    tokens: number of tokens before they were cut, without special ones.
    unknown: how many of them are the unknown token.
    words: how many of them begin a word.
  """

  features: Batch
  cut: int
  empty: int
  tokens: int
  unknown: int
  words: int


def encode_texts(
  tokenizer: Tokenizer,
  texts: Sequence[str],
  pairs: Sequence[str] | None,
  seq_length: int,
) -> EncodedTexts:
  """Encode every text, or pair of texts, as a row of `seq_length` tokens.

  A text that is too long loses tokens at its end. Of a pair, the longer text
  loses them first (google-research/bert, run_classifier.py,
  `_truncate_seq_pair`).

  Raises:
    ValueError: `seq_length` has no room for a token of every text, or `pairs`
      and `texts` have different lengths.
  """
  specials = 2 if pairs is None else 3
  if seq_length < 2 * specials - 1:
    raise ValueError(
      f"seq_length={seq_length} leaves no room for text beside {specials} "
      f"special tokens; give {2 * specials - 1} or more"
    )
  if pairs is not None and len(pairs) != len(texts):
    raise ValueError(
      f"{len(texts)} texts have {len(pairs)} pairs; give one for each text"
    )
  first = tokenizer.encode(texts)
  second = None if pairs is None else tokenizer.encode(pairs)
  rows = empty_batch(
    ENCODER_FEATURES, {"B": len(texts), "S": seq_length, "R": 1}
  )
  rows["tokens_BS"][...] = tokenizer.pad_id
  cut = 0
  for row, a in enumerate(first):
    b = () if second is None else second[row]
    size_a, size_b = fit(len(a), len(b), seq_length - specials)
    cut += size_a + size_b < len(a) + len(b)
    parts = [[tokenizer.cls_id], a[:size_a], [tokenizer.sep_id]]
    if second is not None:
      parts += [b[:size_b], [tokenizer.sep_id]]
    ids = np.concatenate([np.asarray(part, np.int32) for part in parts])
    rows["tokens_BS"][row, : len(ids)] = ids
    rows["types_BS"][row, size_a + 2 : len(ids)] = 1
    rows["positions_BS"][row, : len(ids)] = np.arange(len(ids))
    rows["packs_BS"][row, : len(ids)] = 1
  sides = (first,) if second is None else (first, second)
  vocabulary = tokenizer.vocabulary()
  ids_T = np.concatenate([np.zeros(0, np.int32), *itertools.chain(*sides)])
  counts_V = np.bincount(ids_T, minlength=vocabulary.size)
  return EncodedTexts(
    features=rows,
    cut=cut,
    empty=sum(not all(map(len, each)) for each in zip(*sides, strict=True)),
    tokens=int(counts_V.sum()),
    unknown=int(counts_V[vocabulary.unk_id]),
    words=int(counts_V[~vocabulary.continues_V].sum()),
  )


def fit(size_a: int, size_b: int, budget: int) -> tuple[int, int]:
  """Return the lengths of two texts after truncation to `budget` tokens.

  The longer text loses its last token until both fit; the second one where
  they are equally long.
  """
  if size_a + size_b <= budget:
    return size_a, size_b
  half_a, half_b = budget - budget // 2, budget // 2
  if size_b <= half_b:
    return budget - size_b, size_b
  if size_a <= half_a:
    return size_a, budget - size_a
  return half_a, half_b
