# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Count the words of a text in bounded memory.

Vocabularies are learned from word counts instead of running text: even a large
text has few distinct words, and each is processed once.
"""

import collections
import re
from collections.abc import Callable, Iterable, Iterator

# Characters that are added to each word's length, for the memory around it.
WORD_COST = 8
# Limit on the distinct words in characters, `WORD_COST` included; each takes
# about 10 bytes. Books of 140 M characters have 2.9 M, or 12.5 M if
# punctuation stays part of the words.
MAX_CHARACTERS = 16_000_000
_WINDOW = 1 << 16  # characters of text that are counted in one go
_SPACE = re.compile(r"\s")


def count_words(
  texts: Iterable[str],
  find: Callable[[str], list[str]],
  *,
  volume: int | None = None,
) -> collections.Counter[str]:
  """Count words; equal texts in an equal order give an equal result.

  When `MAX_CHARACTERS` is reached, only words that are known are counted: a
  word that first occurs so late is rare.

  Args:
    texts: documents; read once.
    find: returns the words of a text; no word may contain white space.
    volume: bytes of running words, plus 4 for each, after which reading stops.
  """
  counts: collections.Counter[str] = collections.Counter()
  room = MAX_CHARACTERS
  for window in (part for text in texts for part in _windows(text)):
    found = find(window)
    for word, count in collections.Counter(found).items():
      if word not in counts:
        cost = len(word) + WORD_COST
        if cost > room:
          continue
        room -= cost
      counts[word] += count
    if volume is not None:
      volume -= sum(len(word.encode(errors="ignore")) + 4 for word in found)
      if volume <= 0:
        break
  return counts


def commonest(
  counts: collections.Counter[str], characters: int
) -> collections.Counter[str]:
  """Return the commonest words that fit `characters`, `WORD_COST` included."""
  if sum(len(word) + WORD_COST for word in counts) <= characters:
    return counts
  kept: collections.Counter[str] = collections.Counter()
  for word in sorted(counts, key=lambda word: (-counts[word], word)):
    characters -= len(word) + WORD_COST
    if characters < 0:
      break
    kept[word] = counts[word]
  return kept


def repeated(counts: collections.Counter[str]) -> Iterator[str]:
  """Yield texts of moderate size that repeat each word as often as counted."""
  for word, count in counts.items():
    most = max(1, _WINDOW // (len(word) + 1))
    whole, rest = divmod(count, most)
    for times in (*(most,) * whole, rest):
      yield f"{word} " * times


def _windows(text: str) -> Iterator[str]:
  """Yield parts of a text, cut at white space where possible."""
  start = 0
  while start < len(text):
    stop = start + _WINDOW
    space = _SPACE.search(text, stop, stop + _WINDOW)
    stop = space.start() if space else stop + _WINDOW
    yield text[start:stop]
    start = stop
