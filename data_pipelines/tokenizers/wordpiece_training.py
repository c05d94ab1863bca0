# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learning the pieces of a WordPiece vocabulary."""

import collections
from collections.abc import Iterable

from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, trainers

from data_pipelines.tokenizers import words
from data_pipelines.tokenizers.pieces import SPECIALS, UNK
from data_pipelines.tokenizers.wordpiece import (
  PREFIX,
  WORD,
  WordPiece,
  with_rules,
)

# BERT-multilingual's Chinese needs more letters than any other script.
_MAX_ALPHABET = 1000
_MIN_COUNT = 2
# Characters of distinct words that are learnt from, with `words.WORD_COST`;
# the library takes up to 60 bytes for each.
_MAX_LEARNT = 6_000_000


def train_wordpiece(
  texts: Iterable[str], vocab_size: int, *, lowercase: bool = True
) -> WordPiece:
  """Learn a vocabulary of at most `vocab_size` pieces.

  Equal texts give an equal vocabulary. The library's trainer alone does not:
  it numbers the letters inside words in the order of a hash map with a random
  seed, and breaks ties between merges by those numbers. Handed to it as
  special pieces, sorted, they have fixed numbers.

  Raises:
    ValueError: there is not room for every letter.
  """
  # Not named here, so that what is not learnt from can be forgotten there.
  pieces = learn_pieces(plain_words(texts, lowercase=lowercase), vocab_size)
  return WordPiece(pieces, lowercase=lowercase)


def plain_words(
  texts: Iterable[str], *, lowercase: bool
) -> collections.Counter[str]:
  """Words as the vocabulary is to match them, and how often each occurs."""
  rules = with_rules(models.WordPiece(unk_token=UNK), lowercase=lowercase)
  assert rules.normalizer is not None
  assert rules.pre_tokenizer is not None
  raw = words.count_words(texts, WORD.findall)
  counts: collections.Counter[str] = collections.Counter()
  while raw:
    # One by one, so that the two are not in memory at once.
    chunk, count = raw.popitem()
    # Half a surrogate pair, as in a broken command line, is no character.
    plain = chunk.encode(errors="ignore").decode()
    plain = rules.normalizer.normalize_str(plain)
    for word, _ in rules.pre_tokenizer.pre_tokenize_str(plain):
      counts[word] += count
  return counts


def learn_pieces(
  counts: collections.Counter[str], vocab_size: int
) -> list[str]:
  """The special pieces, letters, and then what words are best made of.

  Args:
    counts: as `plain_words` returns them.
    vocab_size: pieces wanted, at most.

  Raises:
    ValueError: there is not room for every letter.
  """
  letters, inner = _alphabet(counts)
  counts = words.commonest(counts, _MAX_LEARNT)
  fixed = [*SPECIALS, *(PREFIX + letter for letter in inner)]
  needed = len(fixed) + len(letters)
  if needed > vocab_size:
    raise ValueError(
      f"vocab_size={vocab_size} has no room for the {needed} special pieces "
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
  backend.train_from_iterator(words.repeated(counts), trainer)
  ids = backend.get_vocab()
  return sorted(ids, key=ids.__getitem__)


def _alphabet(
  counts: collections.Counter[str],
) -> tuple[list[str], list[str]]:
  """Commonest letters, and those of them that stand inside a word."""
  seen: collections.Counter[str] = collections.Counter()
  inner: set[str] = set()
  for word, count in counts.items():
    for letter in word:
      seen[letter] += count
    inner.update(word[1:])
  ranked = sorted(seen, key=lambda letter: (-seen[letter], letter))
  letters = sorted(ranked[:_MAX_ALPHABET])
  return letters, sorted(inner.intersection(letters))
