# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""From texts to the encoder's features.

A row is one example: a text, or two, with the special tokens of the tokenizer's
template around them, as `[CLS] a [SEP] b [SEP]`.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from bertjax.batch import ENCODER_FEATURES, Batch, Vocabulary, empty_batch
from data_pipelines.tasks.sliding import slide
from data_pipelines.tokenizers.template import Template


class Tokenizer(Protocol):
  """What a reader needs of a tokenizer."""

  pad_id: int
  template: Template

  def encode(self, texts: Sequence[str]) -> Sequence[np.ndarray]:
    """Return the token ids of each text, without special tokens."""
    ...

  def encode_with_offsets(
    self, texts: Sequence[str]
  ) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Return the token ids of each text, and the characters of each token."""
    ...

  def after_space(self, text: str) -> str:
    """Return a text as it is encoded where a space stands before it."""
    ...

  def vocabulary(self) -> Vocabulary:
    """Return tables over the vocabulary."""
    ...


@dataclasses.dataclass(frozen=True)
class EncodedTexts:
  """Rows of texts, and what was counted while they were made.

  Attributes:
    features: `ENCODER_FEATURES` with a row for each text, R = 1.
    cut: number of examples that lost tokens.
    empty: number of examples with a text that has no token.
    tokens: number of tokens before they were cut, without special ones.
    unknown: how many of them are the unknown token.
    words: how many of them begin a word.
    owner_N: int64, the example of each row, ascending. A long text may have
      several rows, and an example several texts.
    text_N: int64, the text of each row, ascending; empty where only examples
      are told apart.
    cut_questions: number of questions that lost tokens, because they are longer
      than `max_question_length`. They are not among `cut`.
  """

  features: Batch
  cut: int
  empty: int
  tokens: int
  unknown: int
  words: int
  owner_N: np.ndarray = dataclasses.field(
    default_factory=lambda: np.zeros(0, np.int64)
  )
  text_N: np.ndarray = dataclasses.field(
    default_factory=lambda: np.zeros(0, np.int64)
  )
  cut_questions: int = 0


def encode_texts(
  tokenizer: Tokenizer,
  texts: Sequence[str],
  pairs: Sequence[str] | None,
  seq_length: int,
  stride: int = 0,
  *,
  example_N: np.ndarray | None = None,
) -> EncodedTexts:
  """Encode every text, or pair of texts, as a row of `seq_length` tokens.

  A text that is too long loses tokens at its end. Of a pair, the longer text
  loses them first (google-research/bert, run_classifier.py,
  `_truncate_seq_pair`).

  With a `stride`, a text that is too long has several rows instead, which begin
  so many tokens after each other. Of a pair, the longer text is divided; the
  other one is in every row, cut only where it is longer than half of a row.

  Several texts may be of one example, which `example_N` numbers, ascending.

  Raises:
    ValueError: `seq_length` has no room for a token of every text, or `pairs`
      and `texts` have different lengths.
  """
  specials = tokenizer.template.count(pair=pairs is not None)
  least = specials + (1 if pairs is None else 2)
  if seq_length < least:
    raise ValueError(
      f"seq_length={seq_length} leaves no room for text beside {specials} "
      f"special tokens; give {least} or more"
    )
  _check_pairs(texts, pairs)
  first = tokenizer.encode(texts)
  second = None if pairs is None else tokenizer.encode(pairs)
  fitting: list[tuple[Any, Any]] = []
  counts: list[int] = []
  cut: list[bool] = []
  for row, a in enumerate(first):
    b = () if second is None else second[row]
    if stride:
      parts, is_cut = _divide(a, b, seq_length - specials, stride)
    else:
      size_a, size_b = fit(len(a), len(b), seq_length - specials)
      is_cut = size_a + size_b < len(a) + len(b)
      parts = [(a[:size_a], b[:size_b])]
    cut.append(is_cut)
    counts.append(len(parts))
    fitting += [(x, None if second is None else y) for x, y in parts]
  if example_N is None:
    example_N = np.arange(len(texts))
  return _count(
    make_rows(tokenizer, fitting, seq_length),
    tokenizer.vocabulary(),
    (first,) if second is None else (first, second),
    example_N,
    np.asarray(cut, bool),
    np.asarray(counts, np.int64),
  )


def _check_pairs(texts: Sequence[str], pairs: Sequence[str] | None) -> None:
  if pairs is not None and len(pairs) != len(texts):
    raise ValueError(
      f"{len(texts)} texts have {len(pairs)} pairs; give one for each text"
    )


def _count(
  features: Batch,
  vocabulary: Vocabulary,
  sides: Sequence[Sequence[np.ndarray]],
  example_N: np.ndarray,
  cut_N: np.ndarray,
  count_N: np.ndarray,
) -> EncodedTexts:
  """Count examples and tokens; `count_N` is the number of rows of each text."""
  ids_T = np.concatenate([np.zeros(0, np.int32), *itertools.chain(*sides)])
  counts_V = np.bincount(ids_T, minlength=vocabulary.size)
  empty_N = [not all(map(len, each)) for each in zip(*sides, strict=True)]
  return EncodedTexts(
    features=features,
    cut=len(np.unique(example_N[cut_N])),
    empty=len(np.unique(example_N[np.asarray(empty_N, bool)])),
    tokens=int(counts_V.sum()),
    unknown=int(counts_V[vocabulary.unk_id]),
    words=int(counts_V[~vocabulary.continues_V].sum()),
    owner_N=np.repeat(example_N, count_N),
    text_N=np.repeat(np.arange(len(count_N)), count_N),
  )


def make_rows(
  tokenizer: Tokenizer,
  windows: Sequence[tuple[Sequence[int] | np.ndarray, Any]],
  seq_length: int,
) -> Batch:
  """Return `ENCODER_FEATURES` with a row for each window, R = 1.

  Args:
    tokenizer: gives the special tokens.
    windows: token ids of the first and of the second text, or None for single
      texts. They fit a row with their special tokens.
    seq_length: positions of a row.
  """
  rows = empty_batch(
    ENCODER_FEATURES, {"B": len(windows), "S": seq_length, "R": 1}
  )
  rows["tokens_BS"][...] = tokenizer.pad_id
  for row, (a, b) in enumerate(windows):
    ids = tokenizer.template.join(a, b)
    rows["tokens_BS"][row, : len(ids)] = ids
    if b is not None:
      types = tokenizer.template.types(len(a), len(b))
      rows["types_BS"][row, : len(ids)] = types
    rows["positions_BS"][row, : len(ids)] = np.arange(len(ids))
    rows["packs_BS"][row, : len(ids)] = 1
  return rows


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


def _divide(
  a: Any, b: Any, budget: int, stride: int
) -> tuple[list[tuple[Any, Any]], bool]:
  """Return parts of two texts that fit a row, and whether tokens are lost."""
  if len(a) < len(b):
    parts, is_cut = _divide(b, a, budget, stride)
    return [(y, x) for x, y in parts], is_cut
  kept = b if len(a) + len(b) <= budget else b[: budget // 2]
  parts = [
    (a[window.start : window.stop], kept)
    for window in slide(len(a), budget - len(kept), stride)
  ]
  return parts, len(kept) < len(b)
