# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learn a byte-level BPE tokenizer, as RoBERTa's or as ModernBERT's."""

import collections
import json
from collections.abc import Callable, Iterable, Mapping
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


class Family(NamedTuple):
  """What a family of models has beside learned tokens.

  Attributes:
    specials: the special tokens pad, unk, cls, sep and mask, in this order.
    first: special tokens with the first ids, in order.
    last: special tokens with the last ids, in order.
    frame: the template of its cls and sep.
    normalization: Unicode form of a text if nothing else is asked for.
  """

  specials: tuple[str, str, str, str, str]
  first: tuple[str, ...]
  last: tuple[str, ...]
  frame: Callable[[int, int], Template]
  normalization: str


# The ids are in the order of the published vocabularies: RoBERTa's positions
# begin behind its <pad>, which has id 1.
FAMILIES: Mapping[str, Family] = {
  "roberta": Family(
    ("<pad>", "<unk>", "<s>", "</s>", "<mask>"),
    ("<s>", "<pad>", "</s>", "<unk>"),
    ("<mask>",),
    frame=Template.of_roberta,
    normalization="none",
  ),
  "modernbert": Family(
    SPECIALS,
    (),
    ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"),
    frame=Template.of_bert,
    normalization="nfc",
  ),
}


def train_byte_bpe(
  texts: Iterable[str], vocab_size: int, family: str, normalization: str = ""
) -> ByteBPE:
  """Learn at most `vocab_size` tokens; equal texts give equal tokens.

  White space between words counts as one space, which is how a store keeps a
  text; other white space is cut into bytes.

  Args:
    texts: documents to learn from; read once.
    vocab_size: largest number of tokens, special tokens included.
    family: one of `FAMILIES`.
    normalization: Unicode form of a text, "none", "nfc" or "nfkc"; "" is that
      of the family.

  Raises:
    ValueError: `vocab_size` leaves no room for all bytes.
  """
  own = FAMILIES[family]
  form = normalization or own.normalization
  least = len(ALPHABET) + len(SPECIALS)
  if vocab_size < least:
    raise ValueError(
      f"vocab_size={vocab_size} has no room for {len(ALPHABET)} bytes and "
      f"{len(SPECIALS)} special tokens; give at least {least}"
    )
  counts = word_counts.commonest(_count(texts, form), _MAX_CHARACTERS)
  backend = Backend(models.BPE())
  backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
  trainer = trainers.BpeTrainer(
    vocab_size=vocab_size - len(own.last),
    min_frequency=_MIN_COUNT,
    special_tokens=list(own.first),
    initial_alphabet=sorted(ALPHABET),
    show_progress=False,
  )
  backend.train_from_iterator(word_counts.repeated(counts), trainer)
  model = json.loads(backend.to_str())["model"]
  ids = model["vocab"]
  tokens = [*sorted(ids, key=ids.__getitem__), *own.last]
  learned = BytePairs(
    tokens=tuple(tokens),
    merges=tuple((left, right) for left, right in model["merges"]),
    specials=own.specials,
    template=own.frame(*map(tokens.index, own.specials[2:4])),
    normalization=form,
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
