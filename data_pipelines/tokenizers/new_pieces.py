# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which pieces would save most, were they added to a WordPiece vocabulary."""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tokenizers import models

from data_pipelines.tokenizers.pieces import UNK
from data_pipelines.tokenizers.wordpiece import MAX_WORD, PREFIX
from data_pipelines.tokenizers.wordpiece_training import learn_pieces

# Candidates for each piece that is wanted, of those learnt and of whole words.
_CANDIDATES = 4
# Room for letters beside them: they are learnt, too, and hardly ever chosen.
_LETTERS = 2048
# What is left of the candidates after each round. Fewer rounds would drop
# pieces for the sake of others that go in the next.
_KEPT = 0.75
# Stands for the part of a word before a piece that is not its first.
_BEFORE = "\0"


class Coverage(NamedTuple):
  """How a vocabulary cuts a sample.

  Attributes:
    words: of the sample, marks among them.
    pieces: that they are cut into.
    unknown: words that are the unknown piece.
  """

  words: int
  pieces: int
  unknown: int

  @property
  def fertility(self) -> float:
    """Pieces a word."""
    return self.pieces / max(self.words, 1)

  @property
  def unknown_rate(self) -> float:
    """Share of the pieces that are the unknown one."""
    return self.unknown / max(self.pieces, 1)


class Cutter:
  """Pieces of plain words, and of the insides of words."""

  def __init__(self, pieces: Iterable[str]) -> None:
    vocabulary = {piece: id_ for id_, piece in enumerate(pieces)}
    self._unk_id = vocabulary[UNK]
    vocabulary[_BEFORE] = len(vocabulary)
    self._model = models.WordPiece(
      vocabulary, unk_token=UNK, max_input_chars_per_word=MAX_WORD
    )

  def pieces(self, word: str) -> list[str]:
    """A word's pieces, or the unknown one alone."""
    return [token.value for token in self._model.tokenize(word)]

  def ids(self, piece: str) -> list[int]:
    """Ids of what makes up `piece`, were it not there."""
    inside = piece.startswith(PREFIX) and piece != PREFIX
    text = _BEFORE + piece.removeprefix(PREFIX) if inside else piece
    found = [token.id for token in self._model.tokenize(text)]
    return found if found == [self._unk_id] else found[inside:]

  def cost(self, piece: str) -> int:
    """Number of `ids`; the unknown piece, in which a word is lost, is two."""
    found = self.ids(piece)
    return 2 if found == [self._unk_id] else len(found)

  def coverage(self, counts: Mapping[str, int]) -> Coverage:
    """How words that occur so often are cut."""
    pieces = unknown = 0
    for word, count in counts.items():
      found = self.ids(word)
      pieces += count * len(found)
      unknown += count * (found == [self._unk_id])
    return Coverage(sum(counts.values()), pieces, unknown)


class _Use(NamedTuple):
  """What candidates save on a sample.

  Attributes:
    saved: candidate → its occurrences × (what it cost before − 1).
    net: candidate → what the words cost before that it is in, less what they
      cost now. The longest match comes first, and the rest of a word may then
      be cut into more pieces.
    more: pieces of all words now, less those before.
  """

  saved: collections.Counter[str]
  net: collections.Counter[str]
  more: int

  def useful(self) -> list[str]:
    """Candidates that save something, the one that saves most in front."""
    good = [piece for piece in self.saved if self.net[piece] > 0]
    return sorted(good, key=lambda piece: (-self.saved[piece], piece))


class _Word(NamedTuple):
  """How often a word occurs, its `Cutter.cost`, and its number of pieces."""

  times: int
  cost: int
  pieces: int


class _Sample:
  """Words of a sample that one piece more can make a difference to."""

  def __init__(self, pieces: Sequence[str], counts: Mapping[str, int]) -> None:
    self._pieces = list(pieces)
    self._old = Cutter(pieces)
    self._costs: dict[str, int] = {}  # of candidates
    self.words: dict[str, _Word] = {}
    for word, count in counts.items():
      cost = self._old.cost(word)
      if cost > 1 and len(word) <= MAX_WORD:
        self.words[word] = _Word(count, cost, len(self._old.ids(word)))

  def _cost(self, piece: str) -> int:
    if piece not in self._costs:
      self._costs[piece] = self._old.cost(piece)
    return self._costs[piece]

  def use(self, candidates: Sequence[str]) -> _Use:
    """How the words would be cut with all the candidates there."""
    cutter, added = Cutter([*self._pieces, *candidates]), set(candidates)
    saved: collections.Counter[str] = collections.Counter()
    net: collections.Counter[str] = collections.Counter()
    more = 0
    for word, (count, cost, pieces) in self.words.items():
      found = cutter.pieces(word)
      used = added.intersection(found)
      if not used:
        continue
      for piece in found:
        if piece in used:
          saved[piece] += count * (self._cost(piece) - 1)
      for piece in used:
        net[piece] += count * (cost - len(found))
      more += count * (len(found) - pieces)
    return _Use(saved, net, more)


def choose_pieces(
  pieces: Sequence[str], counts: collections.Counter[str], count: int
) -> list[str]:
  """Choose up to `count` new pieces, the one that saves most in front.

  With them the words are not cut into more pieces than without, and none of
  them is there for nothing. Ties go by the text of the pieces.

  Args:
    pieces: of the vocabulary.
    counts: of a sample, as `wordpiece_training.plain_words` returns them.
    count: pieces wanted.
  """
  sample = _Sample(pieces, counts)
  chosen, spare = _candidates(sample, pieces, count), list[str]()
  while chosen:
    use = sample.use(chosen)
    useful = use.useful()
    if len(useful) == len(chosen) <= count:
      if use.more > 0:
        # Words that were unknown have pieces now, and more than others saved.
        useful.remove(min(useful, key=lambda piece: (use.net[piece], piece)))
      elif not spare or len(useful) == count:
        return useful
    kept = max(count, int(_KEPT * len(chosen)))
    spare = useful[kept:] or spare
    # In place of those that saved nothing any more.
    missing = max(0, count - len(useful))
    chosen = [*useful[:kept], *spare[:missing]]
    spare = spare[missing:]
  return []


def _candidates(
  sample: _Sample, pieces: Sequence[str], count: int
) -> list[str]:
  """Pieces that words are well made of, and the words that cost most."""
  words = sample.words
  if not words:
    return []
  learnt = learn_pieces(
    collections.Counter({word: of.times for word, of in words.items()}),
    _LETTERS + _CANDIDATES * count,
  )
  dear = sorted(
    (word for word, of in words.items() if of.times > 1),
    key=lambda word: (-words[word].times * (words[word].cost - 1), word),
  )
  # In an order that a hash does not tell.
  found = dict.fromkeys([*learnt, *dear[: _CANDIDATES * count]])
  known = set(pieces)
  return [piece for piece in found if piece not in known]
