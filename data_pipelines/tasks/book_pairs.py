# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks over the sentences of books that words of a topic do not solve.

  which_follows   two sentences, and two others of which one follows them
  same_paragraph  two sentences that are three apart: is a paragraph's end
                  between them?
  order           two sentences that stand together, in order or swapped

Wrong answers are from the same pages as the right ones. Examples are made two
at a time, one of each label. The two of `which_follows` have the same choices,
and sentences of `same_paragraph` are neither the first nor the last of a
paragraph. No author is in two splits.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from data_pipelines.corpora.file_corpus import is_known
from data_pipelines.corpora.file_search import find_files
from data_pipelines.corpora.line_wraps import OPENING
from data_pipelines.corpora.lines import decoded_lines
from data_pipelines.corpora.reading import ReadCounts, ReadOptions
from data_pipelines.corpora.sentences import split_paragraphs
from data_pipelines.host_rng import HostRng

SPLITS = ("train", "dev", "test")
# Shares of the authors.
_DEV, _TEST = 0.1, 0.2
# A sentence of prose has so many words, and ends with one of these characters.
_FEWEST_WORDS, _MOST_WORDS = 6, 40
_ENDS = ".!?…\"'”’"
# Paragraphs between a right and a wrong choice, at most.
_NEAR = 10
# Sentences of a paragraph that `same_paragraph` reads, at least.
_LONG = 6
_APART = 3
_TEXT_FIELDS = ("sentence1", "sentence2", "context", "choices")

Paragraph = Sequence[str]
Example = dict[str, Any]
# One example of each label, from the same pages.
Twins = tuple[Example, Example]


class Book(NamedTuple):
  """A book.

  Attributes:
    author: its author.
    title: its title.
    paragraphs: the sentences of each paragraph.
  """

  author: str
  title: str
  paragraphs: Sequence[Paragraph]


class SplitCounts(NamedTuple):
  """What a split holds.

  Attributes:
    examples: examples; half of them have each label.
    authors: authors that they are from.
    left_out: examples that had a sentence of train.
  """

  examples: int
  authors: int
  left_out: int


class Made(NamedTuple):
  """A task.

  Attributes:
    examples: {split: examples}.
    counts: {split: what it holds}.
  """

  examples: Mapping[str, list[Example]]
  counts: Mapping[str, SplitCounts]


def read_books(corpus: str) -> Iterator[Book]:
  """Yield books of files with an object {"author", "title", "text"} a line.

  Args:
    corpus: files, folders or globs, with commas between them; compressed files
      may be among them.

  Raises:
    ValueError: a part names no file, or a line is no such object.
  """
  options, counts = ReadOptions(), ReadCounts()
  for part in filter(None, map(str.strip, corpus.split(","))):
    for file in find_files(part, is_known).files:
      for number, line in decoded_lines(file, options, counts):
        if line.strip():
          yield _parse(line, f"{file.name}:{number}")


def _parse(line: str, place: str) -> Book:
  try:
    book = json.loads(line)
    author, title, text = (book[name] for name in ("author", "title", "text"))
    if not all(isinstance(each, str) for each in (author, title, text)):
      raise TypeError("one of them is no text")
  except (ValueError, TypeError, KeyError) as error:
    raise ValueError(
      f"{place} is no object with author, title and text ({error!r}); give "
      "books as JSON, one a line"
    ) from error
  return Book(author, title, split_paragraphs(text))


def make_task(
  name: str, books: Sequence[Book], sizes: Mapping[str, int], seed: int = 0
) -> Made:
  """Make a task; a pure function of its arguments.

  Authors of a split give about as many examples each, evenly over their texts.

  Args:
    name: one of `TASKS`.
    books: at least three authors, in any order.
    sizes: {split: examples at most}.
    seed: decides which authors a split has, and what is drawn.

  Raises:
    ValueError: too few authors, or a split without an example.
  """
  rng = HostRng("book_pairs", seed)
  by_split = split_authors({book.author for book in books}, rng)
  examples: dict[str, list[Example]] = {}
  counts: dict[str, SplitCounts] = {}
  of_train: frozenset[str] = frozenset()
  for split in SPLITS:
    made = [
      [twins for book in own for twins in TASKS[name](book, rng)]
      for own in _by_author(books, by_split[split])
    ]
    kept = [
      [twins for twins in own if of_train.isdisjoint(_texts(twins))]
      for own in made
    ]
    chosen = _balance(kept, sizes[split] // 2)
    if not any(chosen):
      raise ValueError(
        f"{name} has no example for {split}: {sizes[split]} are asked for, of "
        f"{len(made)} authors; give 2 or more, and more books"
      )
    if split == "train":
      of_train = frozenset(
        text for own in chosen for twins in own for text in _texts(twins)
      )
    found = [
      {**example, "author": author}
      for author, own in zip(by_split[split], chosen, strict=True)
      for twins in own
      for example in twins
    ]
    order = rng.permutation(f"{name} {split}", len(found))
    examples[split] = [found[place] for place in order.tolist()]
    counts[split] = SplitCounts(
      examples=len(found),
      authors=sum(map(bool, chosen)),
      left_out=2 * (sum(map(len, made)) - sum(map(len, kept))),
    )
  return Made(examples, counts)


def _by_author(
  books: Sequence[Book], authors: Sequence[str]
) -> list[list[Book]]:
  """Return the books of each author, in an order of their own."""
  return [
    sorted(book for book in books if book.author == author)
    for author in authors
  ]


def split_authors(
  authors: set[str], rng: HostRng
) -> dict[str, tuple[str, ...]]:
  """Return the authors of each split: a fifth for test, a tenth for dev.

  Raises:
    ValueError: fewer than three authors.
  """
  if len(authors) < len(SPLITS):
    raise ValueError(
      f"the books are of {len(authors)} authors, and each of train, dev and "
      "test needs its own; give books of three authors or more"
    )
  names = sorted(authors)
  order = [names[n] for n in rng.permutation("authors", len(names)).tolist()]
  dev = max(1, round(_DEV * len(names)))
  test = max(1, round(_TEST * len(names)))
  return {
    "test": tuple(order[:test]),
    "dev": tuple(order[test : test + dev]),
    "train": tuple(order[test + dev :]),
  }


def _balance(
  by_author: Sequence[list[Twins]], wanted: int
) -> list[list[Twins]]:
  """Take about as many of each author, evenly over what there is."""
  sizes = [len(found) for found in by_author]
  most = 1
  while most < max(sizes) and sum(min(n, most) for n in sizes) < wanted:
    most += 1
  taken = [min(size, most) for size in sizes]
  # The last round is for some authors alone.
  for place, count in enumerate(taken):
    if sum(taken) > wanted and count == most:
      taken[place] -= 1
  return [
    [found[number * len(found) // count] for number in range(count)]
    for found, count in zip(by_author, taken, strict=True)
  ]


def _texts(twins: Twins) -> Iterator[str]:
  for example in twins:
    for name in _TEXT_FIELDS:
      value = example.get(name, [])
      yield from [value] if isinstance(value, str) else value


def _which_follows(book: Book, rng: HostRng) -> Iterator[Twins]:
  """Yield two contexts of nearby paragraphs with the same two choices."""
  places = list(_windows(book, rng, "which_follows", size=3))
  coins = _draw(book, rng, "which_follows coins", [2] * len(places))
  for index in range(0, len(places) - 1, 2):
    (one, first), (two, second) = places[index : index + 2]
    if two - one > _NEAR or first[2] == second[2]:
      continue
    right = coins[index]
    choices = [first[2], second[2]] if not right else [second[2], first[2]]
    yield (
      _question(first, choices, right),
      _question(second, choices, 1 - right),
    )


def _same_paragraph(book: Book, rng: HostRng) -> Iterator[Twins]:
  """Yield two sentences of a paragraph, and two with its end between them."""
  size = len(book.paragraphs)
  long = [len(paragraph) >= _LONG for paragraph in book.paragraphs]
  places = [n for n in range(size - 1) if long[n] and long[n + 1]]
  coins = _draw(book, rng, "same_paragraph coins", [2] * size)
  free = 0
  for number in places:
    if number < free:
      continue
    free = number + 2
    both = book.paragraphs[number:free]
    own = both[coins[number]]
    (start,) = _draw(
      book, rng, f"same_paragraph {number}", [len(own) - _APART - 2]
    )
    same = (own[start + 1], own[start + 1 + _APART])
    other = (both[0][-2], both[1][1])
    if all(map(_is_prose, (*same, *other))):
      yield _pair(same, "same"), _pair(other, "other")


def _order(book: Book, rng: HostRng) -> Iterator[Twins]:
  """Yield two sentences in order, and two others of nearby that are swapped."""
  places = [texts for _, texts in _windows(book, rng, "order", size=2)]
  coins = _draw(book, rng, "order coins", [2] * len(places))
  for index in range(0, len(places) - 1, 2):
    number = coins[index]
    kept, swapped = places[index + number], places[index + 1 - number]
    yield _pair(kept, "in_order"), _pair(swapped[::-1], "swapped")


# Name → yields the examples of a book.
TASKS: Mapping[str, Callable[[Book, HostRng], Iterator[Twins]]] = {
  "which_follows": _which_follows,
  "same_paragraph": _same_paragraph,
  "order": _order,
}


def _windows(
  book: Book, rng: HostRng, name: str, size: int
) -> Iterator[tuple[int, Sequence[str]]]:
  """Yield sentences of prose that stand together, once a paragraph at most."""
  found: dict[int, list[int]] = {}
  for number, paragraph in enumerate(book.paragraphs):
    prose = [_is_prose(sentence) for sentence in paragraph]
    starts = [
      start
      for start in range(len(paragraph) - size + 1)
      if all(prose[start : start + size])
    ]
    if starts:
      found[number] = starts
  drawn = _draw(book, rng, name, [len(starts) for starts in found.values()])
  for (number, starts), place in zip(found.items(), drawn, strict=True):
    start = starts[place]
    yield number, book.paragraphs[number][start : start + size]


def _is_prose(sentence: str) -> bool:
  words = sentence.split()
  return (
    _FEWEST_WORDS <= len(words) <= _MOST_WORDS
    and sentence[-1] in _ENDS
    and sentence.lstrip(OPENING)[:1].isupper()
    and not sentence.isupper()
  )


def _question(texts: Sequence[str], choices: list[str], right: int) -> Example:
  return {"context": " ".join(texts[:2]), "choices": choices, "label": right}


def _pair(texts: Sequence[str], label: str) -> Example:
  return {"sentence1": texts[0], "sentence2": texts[1], "label": label}


def _draw(
  book: Book, rng: HostRng, name: str, bounds: Sequence[int]
) -> list[int]:
  """Return a number below each bound."""
  stream = f"{name}\n{book.author}\n{book.title}"
  return rng.integers(stream, np.array(bounds, np.int64)).tolist()
