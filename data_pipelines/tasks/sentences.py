# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Sentences whose words have a tag each, and the forms of tags.

Tags are BIO, BIOES or IO. Those of IO may be types alone, as PER beside O,
which then stands for I-PER.
"""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from data_pipelines.tasks.splits import TextKey
from data_pipelines.tasks.table_files import listed

OUTSIDE = "O"
_PREFIXED = re.compile(r"[BIES]-\S.*")
# A type alone. A letter before a hyphen is a prefix of another scheme, and one
# of these letters alone a prefix that lacks its type.
_TYPE = re.compile(r"(?![A-Za-z]-)(?![BIESLUM]$)\S.*")


class Sentence(NamedTuple):
  """Words of a sentence.

  Attributes:
    words: the words.
    tags: the tag of each word.
    place: path of the file, and number of the first line.
  """

  words: tuple[str, ...]
  tags: tuple[str, ...]
  place: str


class TagForm(NamedTuple):
  """How the tags of a file are written.

  Attributes:
    has_prefixes: whether a tag has one of the prefixes B-, I-, E- and S-.
    is_bare: whether tags are O and types alone.
  """

  has_prefixes: bool
  is_bare: bool

  @classmethod
  def find(cls, tags: Iterable[str]) -> "TagForm":
    """Return the form of all tags of a file."""
    distinct = set(tags)
    has_prefixes = any(map(_PREFIXED.fullmatch, distinct))
    is_bare = not has_prefixes and OUTSIDE in distinct
    return cls(has_prefixes, is_bare)

  def wrong(self, tag: str) -> str:
    """Return what is wrong with a tag; "" if nothing is."""
    wanted = _TYPE if self.is_bare else _PREFIXED
    if tag == OUTSIDE or wanted.fullmatch(tag):
      return ""
    if self.has_prefixes and _TYPE.fullmatch(tag):
      return (
        f"has the tag {tag!r}, and other tags of the file have a prefix; give "
        f"I-{tag}, or only types without a prefix"
      )
    return (
      f"has the tag {tag!r}; give O, or B-, I-, E- or S- with a type, such as "
      "B-PER"
    )

  def complete(self, tag: str) -> str:
    """Return a tag with its prefix."""
    return f"I-{tag}" if self.is_bare and tag != OUTSIDE else tag


def text_key(sentence: Sentence) -> TextKey:
  """Return the key of a sentence: copies of it are in one split."""
  return " ".join(sentence.words).casefold()


def unknown_tag(sentence: Sentence, labels: Collection[str]) -> str:
  """Return what is wrong with a sentence that has a tag beside `labels`."""
  unknown = next((tag for tag in sentence.tags if tag not in labels), None)
  if unknown is None:
    return ""
  return (
    f"{sentence.place}: a word has the tag {unknown!r}, and task.train has "
    f"{listed(tuple(labels))}"
  )
