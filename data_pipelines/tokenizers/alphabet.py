# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the letters that a WordPiece vocabulary starts from.

A word with a letter that the vocabulary lacks is unknown as a whole, so
letters are chosen by how much of the text they cover. Every chosen letter that
can stand inside a word is also a "##" token, so that no word of chosen letters
is unknown.
"""

import bisect
import collections
import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

# Share of the text's characters that the letters should cover. One character
# in 100,000 leaves about one word in 20,000 unknown.
COVERAGE = 0.99999
# Letters may take more than `ROOM` of the vocabulary to cover this much. A text
# of which they cover less needs a larger vocabulary.
LEAST_COVERAGE = 0.99
# Share of the vocabulary that letters and their "##" tokens may take. They are
# all that there is to learn in Chinese; other text needs room for longer
# tokens.
ROOM = 0.5


class Alphabet(NamedTuple):
  """Letters of a vocabulary.

  Attributes:
    letters: the chosen letters, sorted.
    inner: those of them that can continue a word, sorted.
  """

  letters: list[str]
  inner: list[str]

  @property
  def cost(self) -> int:
    """Number of tokens that the letters are."""
    return len(self.letters) + len(self.inner)


def choose_alphabet(
  counts: Mapping[str, int],
  vocab_size: int,
  continues: Callable[[str], bool],
  *,
  least: float = LEAST_COVERAGE,
) -> Alphabet:
  """Choose the commonest letters that cover `COVERAGE` of the text.

  They take at most `ROOM` of the vocabulary, unless they would then cover less
  than `least`. Ties are broken by the letters themselves.

  Args:
    counts: word → occurrences.
    vocab_size: largest number of tokens of the vocabulary.
    continues: returns whether a letter can stand inside a word.
    least: share of the text that the letters cover at any cost.
  """
  seen: collections.Counter[str] = collections.Counter()
  for word, count in counts.items():
    for letter in word:
      seen[letter] += count
  ranked = sorted(seen, key=lambda letter: (-seen[letter], letter))
  total = sum(seen.values())
  covered = list(itertools.accumulate(seen[letter] for letter in ranked))
  continuing = set(filter(continues, ranked))
  costs = list(
    itertools.accumulate(1 + (letter in continuing) for letter in ranked)
  )
  fewest = bisect.bisect_left(covered, least * total) + 1
  wanted = min(bisect.bisect_left(covered, COVERAGE * total) + 1, len(ranked))
  while wanted > fewest and costs[wanted - 1] > ROOM * vocab_size:
    wanted -= 1
  letters = sorted(ranked[:wanted])
  return Alphabet(letters, [c for c in letters if c in continuing])
