# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learn a WordPiece vocabulary."""

import collections
from collections.abc import Iterable

from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, trainers

from data_pipelines.tokenizers import word_counts
from data_pipelines.tokenizers.special_tokens import SPECIALS, UNK
from data_pipelines.tokenizers.wordpiece import (
  PREFIX,
  WORD,
  WordPiece,
  with_rules,
)

# Most letters a vocabulary starts from; rarer ones become [UNK]. Only Chinese
# text has more.
_MAX_ALPHABET = 1000
_MIN_COUNT = 2  # occurrences of a pair of tokens before it may become one
# Characters of distinct words to learn from, counted with
# `word_counts.WORD_COST`; the library takes up to 60 bytes for each.
_MAX_CHARACTERS = 6_000_000


def train_wordpiece(
  texts: Iterable[str], vocab_size: int, *, lowercase: bool = True
) -> WordPiece:
  """Learn a vocabulary of at most `vocab_size` tokens.

  Equal texts give an equal vocabulary. The library's trainer alone does not
  guarantee that: it numbers the letters inside words in the order of a hash
  map with a random seed, and breaks ties between merges by those numbers. So
  the letters are given to it, sorted, as special tokens, which fixes their
  numbers.

  Raises:
    ValueError: `vocab_size` leaves no room for all letters.
  """
  # The counts have no name here, so that `learn_tokens` can free them.
  tokens = learn_tokens(plain_words(texts, lowercase=lowercase), vocab_size)
  return WordPiece(tokens, lowercase=lowercase)


def plain_words(
  texts: Iterable[str], *, lowercase: bool
) -> collections.Counter[str]:
  """Count words, cleaned and split as `WordPiece` does before matching."""
  rules = with_rules(models.WordPiece(unk_token=UNK), lowercase=lowercase)
  assert rules.normalizer is not None
  assert rules.pre_tokenizer is not None
  raw = word_counts.count_words(texts, WORD.findall)
  counts: collections.Counter[str] = collections.Counter()
  while raw:
    # Popped one by one, so that no word is in memory twice.
    chunk, count = raw.popitem()
    # Drops lone surrogates, which a broken command line can contain.
    plain = chunk.encode(errors="ignore").decode()
    plain = rules.normalizer.normalize_str(plain)
    for word, _ in rules.pre_tokenizer.pre_tokenize_str(plain):
      counts[word] += count
  return counts


def learn_tokens(
  counts: collections.Counter[str], vocab_size: int
) -> list[str]:
  """Return the special tokens, all letters, and then learned tokens.

  Args:
    counts: word counts as `plain_words` returns them.
    vocab_size: largest number of tokens.

  Raises:
    ValueError: `vocab_size` leaves no room for all letters.
  """
  letters, inner = _alphabet(counts)
  counts = word_counts.commonest(counts, _MAX_CHARACTERS)
  fixed = [*SPECIALS, *(PREFIX + letter for letter in inner)]
  needed = len(fixed) + len(letters)
  if needed > vocab_size:
    raise ValueError(
      f"vocab_size={vocab_size} has no room for the {needed} special tokens "
      f"and letters of this text; give at least {2 * needed}"
    )
  backend = Backend(models.WordPiece(unk_token=UNK))
  backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
  trainer = trainers.WordPieceTrainer(
    vocab_size=vocab_size,
    min_frequency=_MIN_COUNT,
    limit_alphabet=len(letters),
    initial_alphabet=letters,
    special_tokens=fixed,
    continuing_subword_prefix=PREFIX,
    show_progress=False,
  )
  backend.train_from_iterator(word_counts.repeated(counts), trainer)
  ids = backend.get_vocab()
  return sorted(ids, key=ids.__getitem__)


def _alphabet(counts: collections.Counter[str]) -> tuple[list[str], list[str]]:
  """Return the commonest letters, and which of them occur inside a word."""
  seen: collections.Counter[str] = collections.Counter()
  inner: set[str] = set()
  for word, count in counts.items():
    for letter in word:
      seen[letter] += count
    inner.update(word[1:])
  ranked = sorted(seen, key=lambda letter: (-seen[letter], letter))
  letters = sorted(ranked[:_MAX_ALPHABET])
  return letters, sorted(inner.intersection(letters))
