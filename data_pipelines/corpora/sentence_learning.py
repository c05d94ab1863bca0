# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learn from a sample of text how its language ends sentences.

Abbreviations are found as Punkt finds them (Kiss and Strunk, Unsupervised
Multilingual Sentence Boundary Detection, Computational Linguistics 32, 2006):
words that are short, have a full stop far more often than chance, and hardly
ever come without one. Words with a capital that are known in lower case start
sentences, which tells "usw. Das" from "Abb. Neun" and "am 3. Oktober".
"""

import collections
import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Iterator

from data_pipelines.corpora.line_wraps import OPENING
from data_pipelines.corpora.sentence_rules import PRIOR, SentenceRules

# Characters of text to learn from, and at most so many from the middle of one
# document: hundreds of thousands of words are plenty for counts of
# abbreviations.
SAMPLE_CHARACTERS = 1_500_000
DOCUMENT_CHARACTERS = 20_000
_WORDS_AT_ONCE = 4_000

# Punkt's threshold of the score of an abbreviation.
_SCORE = 0.3
_FULL_STOP_SHARE = 0.99  # of an abbreviation, in Punkt's alternative
# An abbreviation that occurs fewer times may be the end of two sentences.
_FEWEST = 3
# Share of all full stops that abbreviations have at most; prose has a tenth.
_MOST_STOPS = 0.8
_LONGEST = 12  # characters of an abbreviation
# An abbreviation of the built-in list that the text uses as a word at least so
# often, and more often than with a full stop, is none in its language.
_WORD_USES = 10
# Words that start sentences, the commonest first, which bounds the file.
_MOST_STARTERS = 5_000
# Ends of sentences that tell whether sentences start in lower case, and the
# share of them that must: abbreviations are below a tenth.
_FEWEST_ENDS = 20
_LOWER_SHARE = 0.8

_MARKS = frozenset(".!?…")
_CLOSING = "\"'”’»“«)]}*_,;:"
_MARKS_AND_CLOSING = frozenset((*_MARKS, *_CLOSING))
_BEFORE_WORD = OPENING + ".…"
_LETTERS = re.compile(r"[^\W\d_]+")


def learn_rules(texts: Iterable[str]) -> SentenceRules:
  """Learn rules; equal texts in an equal order give equal rules.

  Args:
    texts: documents, of which the first `SAMPLE_CHARACTERS` count; read once.
  """
  tokens: collections.Counter[str] = collections.Counter()
  pairs: collections.Counter[tuple[str, str]] = collections.Counter()
  for words in _words(texts):
    # What follows the last word of a text is unknown, so it is not counted.
    tokens.update(itertools.compress(words, words[1:]))
    pairs.update(_ends(words))
  counts = _count_words(tokens)
  first = _count_first(pairs)
  starters = _starters(first, counts)
  return dataclasses.replace(
    PRIOR,
    abbreviations=_uncontradicted(PRIOR.abbreviations, counts),
    learned=_abbreviations(counts, pairs, starters),
    starters=starters,
    lower_case=_starts_in_lower_case(first),
  )


def _words(texts: Iterable[str]) -> Iterator[list[str]]:
  """Yield the words to learn from, with "" before the first of each text.

  Short texts come together, because a call for each would take longer.
  """
  room = SAMPLE_CHARACTERS
  words: list[str] = []
  for text in texts:
    text = middle(text)[:room]
    room -= len(text)
    words.append("")
    words += text.split()
    if len(words) > _WORDS_AT_ONCE:
      yield words
      words = []
    if room <= 0:
      break
  yield words


def _ends(words: list[str]) -> Iterator[tuple[str, str]]:
  """Yield what may end a sentence and the next word; "" ends one, too."""
  return (
    (before, after)
    for before, after in itertools.pairwise(words)
    if after and (not before or before[-1] in _MARKS_AND_CLOSING)
  )


def middle(text: str) -> str:
  """Return the part of a document to learn from; titles are at its ends."""
  if len(text) <= DOCUMENT_CHARACTERS:
    return text
  start = (len(text) - DOCUMENT_CHARACTERS) // 2
  return text[start : start + DOCUMENT_CHARACTERS]


@dataclasses.dataclass(frozen=True)
class _Counts:
  """Running words by how they are written, without quotes and brackets.

  Attributes:
    stopped: words in lower case, where a full stop follows them.
    plain: words in lower case, where none follows.
    lower: words that are written in lower case.
    capital: words in lower case, where they are written with a capital.
  """

  stopped: collections.Counter[str]
  plain: collections.Counter[str]
  lower: collections.Counter[str]
  capital: collections.Counter[str]


def _count_words(tokens: collections.Counter[str]) -> _Counts:
  found = _Counts(*(collections.Counter() for _ in range(4)))
  for token, count in tokens.items():
    word, stopped = _without_stop(token)
    if not word:
      continue
    lower = word.lower()
    (found.stopped if stopped else found.plain)[lower] += count
    (found.lower if word == lower else found.capital)[lower] += count
  return found


def _without_stop(token: str) -> tuple[str, bool]:
  """Return the word of a token, and whether a full stop is part of it."""
  if token.isalnum():
    return token, False
  token = token.lstrip(_BEFORE_WORD)
  word = token.rstrip(_CLOSING)
  bare = word.rstrip(".!?…")
  # "etc.)," but not "done)." nor "well...".
  stopped = len(word) == len(bare) + 1 and word[-1] == "."
  inner = bare.rstrip(_CLOSING)
  return inner, stopped and inner == bare


def _count_first(
  pairs: collections.Counter[tuple[str, str]],
) -> collections.Counter[str]:
  """Count the words, as they are written, that follow the end of a sentence."""
  first: collections.Counter[str] = collections.Counter()
  for (before, after), count in pairs.items():
    if before and before.rstrip(_CLOSING)[-1:] not in _MARKS:
      continue
    name, stopped = _without_stop(before)
    # What follows "J." or "Mr." may be a name.
    sure = not stopped or not (
      len(name) < 2 or "." in name or name.lower() in PRIOR.abbreviations
    )
    if sure and (word := _first_letters(after)):
      first[word] += count
  return first


def _first_letters(token: str) -> str:
  found = _LETTERS.match(token.lstrip(OPENING))
  return found[0] if found else ""


def _abbreviations(
  counts: _Counts,
  pairs: collections.Counter[tuple[str, str]],
  starters: frozenset[str],
) -> frozenset[str]:
  total = counts.stopped.total() + counts.plain.total()
  share = counts.stopped.total() / max(total, 1)
  found = {
    word
    for word, stopped in counts.stopped.items()
    if stopped >= _FEWEST
    and len(word) <= _LONGEST
    and word[0].isalpha()
    and _score(word, stopped, counts.plain[word], share) >= _SCORE
  }
  # A rare word at the ends of sentences looks like an abbreviation, but what
  # follows it starts sentences.
  ends: collections.Counter[str] = collections.Counter()
  inside: set[str] = set()
  for (before, after), count in pairs.items():
    word, stopped = _without_stop(before)
    if stopped and (word := word.lower()) in found:
      following = _first_letters(after)
      if not following or following.islower():
        inside.add(word)
      starts = following.lower() in starters and not following.islower()
      ends[word] += count if starts else -count
  found = {word for word in found if ends[word] <= 0}
  # Text from a template ends each sentence with one of a few words, after which
  # no sentence ever goes on.
  of_all = sum(counts.stopped[word] for word in found if len(word) > 1)
  if of_all > _MOST_STOPS * counts.stopped.total():
    found &= inside
  return frozenset(found)


def _score(word: str, stopped: int, plain: int, share: float) -> float:
  """Return Punkt's score of an abbreviation.

  The ratio of likelihoods that a full stop belongs to the word, and that it
  follows any word with its share in the text, times three factors: short words,
  full stops inside, and no occurrences without a full stop.
  """
  letters = len(word) - word.count(".")
  null = stopped * math.log(share) + plain * math.log1p(-min(share, 0.999))
  alternative = stopped * math.log(_FULL_STOP_SHARE) + plain * math.log(
    1 - _FULL_STOP_SHARE
  )
  ratio = 2 * (alternative - null)
  penalty = letters ** -min(plain, 1000.0)
  return ratio * math.exp(-letters) * (word.count(".") + 1) * penalty


def _uncontradicted(words: frozenset[str], counts: _Counts) -> frozenset[str]:
  """Leave out abbreviations that are words of this language."""
  return frozenset(
    word
    for word in words
    if counts.plain[word] < max(_WORD_USES, counts.stopped[word])
    or counts.lower[word] < counts.capital[word]
  )


def _starters(
  first: collections.Counter[str], counts: _Counts
) -> frozenset[str]:
  """Return words that have a capital only where a sentence starts."""
  starts: collections.Counter[str] = collections.Counter()
  for word, count in first.items():
    if word[0].isupper() or word[0].istitle():
      starts[word.lower()] += count
  known = (
    word
    for word in sorted(starts, key=lambda word: (-starts[word], word))
    if counts.lower[word] > counts.capital[word] - starts[word]
  )
  return frozenset(itertools.islice(known, _MOST_STARTERS))


def _starts_in_lower_case(first: collections.Counter[str]) -> bool:
  lower = upper = 0
  for word, count in first.items():
    if word[0].islower():
      lower += count
    elif word[0].isupper() or word[0].istitle():
      upper += count
  return lower > _LOWER_SHARE * (lower + upper) and lower >= _FEWEST_ENDS
