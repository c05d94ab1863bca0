# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learn a WordPiece vocabulary."""

import collections
import functools
from collections.abc import Iterable

from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, trainers

from data_pipelines.tokenizers import word_counts
from data_pipelines.tokenizers.alphabet import (
  LEAST_COVERAGE,
  choose_alphabet,
)
from data_pipelines.tokenizers.special_tokens import SPECIALS, UNK
from data_pipelines.tokenizers.wordpiece import WordPiece
from data_pipelines.tokenizers.wordpiece_rules import PREFIX, Rules

_MIN_COUNT = 2  # occurrences of a pair of tokens before it may become one
# Characters of distinct words to learn from, counted with
# `word_counts.WORD_COST`; the library takes up to 60 bytes for each.
_MAX_CHARACTERS = 6_000_000


def train_wordpiece(
  texts: Iterable[str], vocab_size: int, rules: Rules
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
  tokens = learn_tokens(plain_words(texts, rules), vocab_size)
  return WordPiece(tokens, rules=rules)


def plain_words(texts: Iterable[str], rules: Rules) -> collections.Counter[str]:
  """Count words, cleaned and split as `WordPiece` does before matching."""
  backend = rules.make_backend(models.WordPiece(unk_token=UNK))
  assert backend.normalizer is not None
  assert backend.pre_tokenizer is not None
  raw = word_counts.count_words(texts, rules.words().findall)
  counts: collections.Counter[str] = collections.Counter()
  while raw:
    # Popped one by one, so that no word is in memory twice.
    chunk, count = raw.popitem()
    # Drops lone surrogates, which a broken command line can contain.
    plain = chunk.encode(errors="ignore").decode()
    plain = backend.normalizer.normalize_str(plain)
    for word, _ in backend.pre_tokenizer.pre_tokenize_str(plain):
      counts[word] += count
  return counts


def learn_tokens(
  counts: collections.Counter[str],
  vocab_size: int,
  *,
  least: float = LEAST_COVERAGE,
) -> list[str]:
  """Return the special tokens, the letters, and then learned tokens.

  Args:
    counts: word counts as `plain_words` returns them.
    vocab_size: largest number of tokens.
    least: share of the text that the letters cover at any cost.

  Raises:
    ValueError: `vocab_size` leaves no room for the letters that the text needs.
  """
  alphabet = choose_alphabet(counts, vocab_size, _continues, least=least)
  counts = word_counts.commonest(counts, _MAX_CHARACTERS)
  fixed = [*SPECIALS, *(PREFIX + letter for letter in alphabet.inner)]
  needed = len(SPECIALS) + alphabet.cost
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
    limit_alphabet=len(alphabet.letters),
    initial_alphabet=alphabet.letters,
    special_tokens=fixed,
    continuing_subword_prefix=PREFIX,
    show_progress=False,
  )
  backend.train_from_iterator(word_counts.repeated(counts), trainer)
  ids = backend.get_vocab()
  return sorted(ids, key=ids.__getitem__)


@functools.cache
def _rules() -> Backend:
  return Rules(lowercase=False).make_backend(models.WordPiece(unk_token=UNK))


def _continues(letter: str) -> bool:
  """Return whether a letter can stand inside a word.

  Ideographs and punctuation are words of their own.
  """
  rules = _rules()
  assert rules.normalizer is not None
  assert rules.pre_tokenizer is not None
  text = rules.normalizer.normalize_str(f"a{letter}")
  return len(rules.pre_tokenizer.pre_tokenize_str(text)) == 1
