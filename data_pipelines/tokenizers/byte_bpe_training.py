# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learn a byte-level BPE tokenizer with the special tokens of a family."""

import collections
import json
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, trainers

from data_pipelines.tokenizers import word_counts
from data_pipelines.tokenizers.byte_bpe import ALPHABET, ByteBPE, BytePairs
from data_pipelines.tokenizers.special_tokens import SPECIALS
from data_pipelines.tokenizers.template import Template
from data_pipelines.tokenizers.tokenizer import SURROGATES
from data_pipelines.tokenizers.wordpiece_rules import FORMS

_MIN_COUNT = 2  # occurrences of a pair of tokens before it may become one
# Characters of distinct words to learn from, counted with
# `word_counts.WORD_COST`.
_MAX_CHARACTERS = 6_000_000


class Specials(NamedTuple):
  """The special tokens of a vocabulary, beside the learned tokens.

  Attributes:
    names: texts of pad, unk, cls, sep and mask, in this order.
    first: those with the first ids, in order.
    last: those with the last ids, in order.
    frame: makes the template from the ids of cls and sep.
  """

  names: tuple[str, str, str, str, str]
  first: tuple[str, ...]
  last: tuple[str, ...]
  frame: Callable[[int, int], Template]


def train_byte_bpe(
  texts: Iterable[str],
  vocab_size: int,
  specials: Specials,
  normalization: str = "none",
) -> ByteBPE:
  """Learn at most `vocab_size` tokens; equal texts give equal tokens.

  White space between words counts as one space, which is how a store keeps a
  text; other white space is cut into bytes.

  Args:
    texts: documents to learn from; read once.
    vocab_size: largest number of tokens, special tokens included.
    specials: the special tokens.
    normalization: Unicode form of a text, "none", "nfc" or "nfkc".

  Raises:
    ValueError: `vocab_size` leaves no room for all bytes.
  """
  least = len(ALPHABET) + len(SPECIALS)
  if vocab_size < least:
    raise ValueError(
      f"vocab_size={vocab_size} has no room for {len(ALPHABET)} bytes and "
      f"{len(SPECIALS)} special tokens; give at least {least}"
    )
  counts = word_counts.commonest(_count(texts, normalization), _MAX_CHARACTERS)
  backend = Backend(models.BPE())
  backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
  trainer = trainers.BpeTrainer(
    vocab_size=vocab_size - len(specials.last),
    min_frequency=_MIN_COUNT,
    special_tokens=list(specials.first),
    initial_alphabet=sorted(ALPHABET),
    show_progress=False,
  )
  backend.train_from_iterator(word_counts.repeated(counts), trainer)
  model = json.loads(backend.to_str())["model"]
  ids = model["vocab"]
  tokens = [*sorted(ids, key=ids.__getitem__), *specials.last]
  learned = BytePairs(
    tokens=tuple(tokens),
    merges=tuple((left, right) for left, right in model["merges"]),
    specials=specials.names,
    template=specials.frame(*map(tokens.index, specials.names[2:4])),
    normalization=normalization,
  )
  return ByteBPE(learned)


def _count(texts: Iterable[str], form: str) -> collections.Counter[str]:
  """Count words, each with a space before it, as letters of bytes."""
  cut = pre_tokenizers.ByteLevel(add_prefix_space=True).pre_tokenize_str
  normalize = FORMS[form]().normalize_str if form in FORMS else str

  def find(text: str) -> list[str]:
    words = normalize(SURROGATES.sub("", text)).split()
    return [word for word, _ in cut(" ".join(words))] if words else []

  return word_counts.count_words(texts, find)
