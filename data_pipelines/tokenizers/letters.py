# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Measure what a tokenizer does to the letters of a text."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from data_pipelines.tokenizers import scripts
from data_pipelines.tokenizers.tokenizer import Tokenizer

SAMPLE_CHARACTERS = 4_000_000
_NAMED = 50


@dataclasses.dataclass(frozen=True)
class Letters:
  """What became of the letters of a sample; white space does not count.

  Attributes:
    characters: characters of the sample.
    unknown: distinct characters that are the unknown token.
    unknown_share: share of the sample that these are.
    unknown_commonest: the commonest of them, up to 50.
    lost_marks: share of the letters that lose a mark which is neither Latin,
      Greek nor Cyrillic, because accents are removed.
  """

  characters: int
  unknown: int
  unknown_share: float
  unknown_commonest: str
  lost_marks: float


def measure_letters(tokenizer: Tokenizer, texts: Iterable[str]) -> Letters:
  """Measure a tokenizer on the first `SAMPLE_CHARACTERS` of some texts."""
  codes = np.frombuffer(
    "".join(_beginning(texts)).encode("utf-32-le", "surrogatepass"), "<u4"
  )
  numbers = np.bincount(codes)
  found = np.flatnonzero(numbers)
  counts = collections.Counter(
    {
      chr(code): count
      for code, count in zip(
        found.tolist(), numbers[found].tolist(), strict=True
      )
      if not chr(code).isspace() and chr(code).isprintable()
    }
  )
  ranked = sorted(counts, key=lambda c: (-counts[c], c))
  unknown = [
    character
    for character, ids in zip(ranked, tokenizer.encode(ranked), strict=True)
    if tokenizer.unk_id in ids
  ]
  letters = [c for c in counts if scripts.is_letter_or_mark(c)]
  lost = [c for c in letters if scripts.loses_mark(c)]
  return Letters(
    characters=counts.total(),
    unknown=len(unknown),
    unknown_share=_share(counts, unknown, counts.total()),
    unknown_commonest="".join(unknown[:_NAMED]),
    lost_marks=_share(counts, lost, sum(counts[c] for c in letters))
    if tokenizer.strip_accents
    else 0.0,
  )


def _beginning(texts: Iterable[str]) -> Iterator[str]:
  left = SAMPLE_CHARACTERS
  for text in texts:
    yield text[:left]
    left -= len(text)
    if left <= 0:
      return


def _share(
  counts: collections.Counter[str], characters: Iterable[str], total: int
) -> float:
  return sum(counts[c] for c in characters) / max(total, 1)
