# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The words of a text and how often each occurs, in bounded memory.

Vocabularies are learnt from these and not from running text: a text of any
size has not many words, and each is then looked at once.
"""

import collections
import re
from collections.abc import Callable, Iterable, Iterator

# How much is counted of a word beside its characters, for what holds it.
WORD_COST = 8
# Of distinct words with their costs; about 10 bytes for each. Books of 140 M
# characters have 2.9 M, or 12.5 M where marks are not cut off their words.
MAX_CHARACTERS = 16_000_000
_WINDOW = 1 << 16  # characters of text looked at in one go
_SPACE = re.compile(r"\s")


def count_words(
  texts: Iterable[str],
  find: Callable[[str], list[str]],
  *,
  volume: int | None = None,
) -> collections.Counter[str]:
  """Count words; equal texts in an equal order give an equal result.

  When `MAX_CHARACTERS` are known, new words are passed over, and known ones
  are counted on: what is met so late is rare.

  Args:
    texts: read once, a document at a time.
    find: a text to its words; none of them goes across white space.
    volume: bytes of running words, with 4 more for each, after which no more
      is read.
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
  """The commonest words that come to so many characters with their costs."""
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
  """Texts of moderate size in which each word stands as often as counted."""
  for word, count in counts.items():
    most = max(1, _WINDOW // (len(word) + 1))
    whole, rest = divmod(count, most)
    for times in (*(most,) * whole, rest):
      yield f"{word} " * times


def _windows(text: str) -> Iterator[str]:
  """Parts of a text, cut at white space where there is some."""
  start = 0
  while start < len(text):
    stop = start + _WINDOW
    space = _SPACE.search(text, stop, stop + _WINDOW)
    stop = space.start() if space else stop + _WINDOW
    yield text[start:stop]
    start = stop
