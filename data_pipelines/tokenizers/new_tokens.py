# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the tokens that shorten a text most, to extend a vocabulary with."""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tokenizers import models

from data_pipelines.tokenizers.special_tokens import UNK
from data_pipelines.tokenizers.wordpiece_rules import MAX_WORD, PREFIX
from data_pipelines.tokenizers.wordpiece_training import learn_tokens

# Candidates per wanted token: this many learned tokens and this many words.
_CANDIDATES = 4
# Additional tokens to learn, because letters are learned first and are hardly
# ever chosen.
_LETTERS = 2048
# Share of the candidates that is kept in each round. With fewer rounds, tokens
# would be dropped in favor of others that are dropped in the next round.
_KEPT = 0.75
# Stands for the beginning of the word in front of a token inside a word.
_BEFORE = "\0"


class Coverage(NamedTuple):
  """How well a vocabulary covers a sample of text.

  Attributes:
    words: number of words in the sample; punctuation marks are words.
    tokens: number of tokens of these words.
    unknown: number of words that are the unknown token.
  """

  words: int
  tokens: int
  unknown: int

  @property
  def fertility(self) -> float:
    """Tokens per word."""
    return self.tokens / max(self.words, 1)

  @property
  def unknown_rate(self) -> float:
    """Share of the tokens that are the unknown token."""
    return self.unknown / max(self.tokens, 1)


class WordTokenizer:
  """WordPiece for single words, and for the text of new "##" tokens."""

  def __init__(self, tokens: Iterable[str], max_word: int = MAX_WORD) -> None:
    vocabulary = {token: id_ for id_, token in enumerate(tokens)}
    self._unk_id = vocabulary[UNK]
    vocabulary[_BEFORE] = len(vocabulary)
    self._model = models.WordPiece(
      vocabulary, unk_token=UNK, max_input_chars_per_word=max_word
    )

  def tokens(self, word: str) -> list[str]:
    """Return the tokens of a word, or only the unknown token."""
    return [token.value for token in self._model.tokenize(word)]

  def ids(self, text: str) -> list[int]:
    """Return the ids of a word, or of a "##" token as the inside of a word."""
    inside = text.startswith(PREFIX) and text != PREFIX
    word = _BEFORE + text.removeprefix(PREFIX) if inside else text
    found = [token.id for token in self._model.tokenize(word)]
    return found if found == [self._unk_id] else found[inside:]

  def cost(self, text: str) -> int:
    """Return the number of `ids`; the unknown token counts as two."""
    found = self.ids(text)
    return 2 if found == [self._unk_id] else len(found)

  def coverage(self, counts: Mapping[str, int]) -> Coverage:
    """Return how well words with these counts are covered."""
    tokens = unknown = 0
    for word, count in counts.items():
      found = self.ids(word)
      tokens += count * len(found)
      unknown += count * (found == [self._unk_id])
    return Coverage(sum(counts.values()), tokens, unknown)


class _Savings(NamedTuple):
  """What candidates save on a sample.

  Attributes:
    saved: candidate → its occurrences × (its cost before − 1).
    net: candidate → the cost before of all words that it occurs in, minus
      their cost now. It can be negative: the longest match is taken first,
      and the rest of the word may then need more tokens.
    growth: number of tokens of all words now, minus the number before.
  """

  saved: collections.Counter[str]
  net: collections.Counter[str]
  growth: int

  def useful(self) -> list[str]:
    """Return the candidates that save something, the best one first."""
    good = [token for token in self.saved if self.net[token] > 0]
    return sorted(good, key=lambda token: (-self.saved[token], token))


class _Word(NamedTuple):
  """How often a word occurs, its cost, and its number of tokens."""

  times: int
  cost: int
  tokens: int


class _Sample:
  """The words of a sample that a new token can shorten."""

  def __init__(
    self,
    tokens: Sequence[str],
    counts: Mapping[str, int],
    max_word: int = MAX_WORD,
  ) -> None:
    self._tokens = list(tokens)
    self._max_word = max_word
    self._old = WordTokenizer(tokens, max_word)
    self._costs: dict[str, int] = {}  # candidate → cost without it
    self.words: dict[str, _Word] = {}
    for word, count in counts.items():
      cost = self._old.cost(word)
      if cost > 1 and len(word) <= max_word:
        self.words[word] = _Word(count, cost, len(self._old.ids(word)))

  def _cost(self, token: str) -> int:
    if token not in self._costs:
      self._costs[token] = self._old.cost(token)
    return self._costs[token]

  def savings(self, candidates: Sequence[str]) -> _Savings:
    """Tokenize the words with all candidates in the vocabulary."""
    new = WordTokenizer([*self._tokens, *candidates], self._max_word)
    added = set(candidates)
    saved: collections.Counter[str] = collections.Counter()
    net: collections.Counter[str] = collections.Counter()
    growth = 0
    for word, (count, cost, tokens) in self.words.items():
      found = new.tokens(word)
      used = added.intersection(found)
      if not used:
        continue
      for token in found:
        if token in used:
          saved[token] += count * (self._cost(token) - 1)
      for token in used:
        net[token] += count * (cost - len(found))
      growth += count * (len(found) - tokens)
    return _Savings(saved, net, growth)


def choose_tokens(
  tokens: Sequence[str],
  counts: collections.Counter[str],
  count: int,
  max_word: int = MAX_WORD,
) -> list[str]:
  """Choose up to `count` new tokens, the one that saves most first.

  With the new tokens the sample has no more tokens than before, and each of
  them saves something. Ties are broken by the text of the tokens.

  Args:
    tokens: the vocabulary.
    counts: word counts as `wordpiece_training.plain_words` returns them.
    count: number of new tokens wanted.
    max_word: number of characters beyond which a word is the unknown token.
  """
  sample = _Sample(tokens, counts, max_word)
  chosen, spare = _candidates(sample, tokens, count), list[str]()
  while chosen:
    savings = sample.savings(chosen)
    useful = savings.useful()
    if len(useful) == len(chosen) <= count:
      if savings.growth > 0:
        # Unknown words became several tokens each, more than others saved.
        net = savings.net
        useful.remove(min(useful, key=lambda token: (net[token], token)))
      elif not spare or len(useful) == count:
        return useful
    kept = max(count, int(_KEPT * len(chosen)))
    spare = useful[kept:] or spare
    # Spare candidates replace those that no longer save anything.
    missing = max(0, count - len(useful))
    chosen = [*useful[:kept], *spare[:missing]]
    spare = spare[missing:]
  return []


def _candidates(
  sample: _Sample, tokens: Sequence[str], count: int
) -> list[str]:
  """Return tokens that are learned from the words, and the costliest words."""
  words = sample.words
  if not words:
    return []
  learned = learn_tokens(
    collections.Counter({word: entry.times for word, entry in words.items()}),
    _LETTERS + _CANDIDATES * count,
    least=0.0,
  )
  costliest = sorted(
    (word for word, entry in words.items() if entry.times > 1),
    key=lambda word: (-words[word].times * (words[word].cost - 1), word),
  )
  # Not a set, whose order differs from process to process.
  found = dict.fromkeys([*learned, *costliest[: _CANDIDATES * count]])
  known = set(tokens)
  return [token for token in found if token not in known]
