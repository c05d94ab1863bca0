# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Documents of bounded length, so that memory is bounded for any corpus."""

import re
from collections.abc import Iterable, Iterator

from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.records import Tally

MAX_CHARACTERS = 8_388_608

_LAST_SPACE = re.compile(r".*\s", re.DOTALL)


def parts(document: Document, tally: Tally) -> Iterable[Document]:
  """The document itself, or its parts where it is longer than the maximum."""
  if len(document.text) <= MAX_CHARACTERS:
    return (document,)
  return joined(document.name, (document.text,), tally)


def joined(name: str, lines: Iterable[str], tally: Tally) -> Iterator[Document]:
  """One document from its lines, in several parts where it is too long.

  Each part ends at the last line end that it can hold, else at the last white
  space, else anywhere; that one character is dropped. No more than a part and
  a line is ever held.

  Args:
    name: of the document; the parts after the first have a number more.
    lines: without their ends.
    tally: counts the parts after the first.
  """
  held, size, number = list[str](), 0, 1
  for line in lines:
    held.append(line)
    size += len(line) + 1
    if size - 1 <= MAX_CHARACTERS:
      continue
    text, start = "\n".join(held), 0
    held.clear()
    while len(text) - start > MAX_CHARACTERS:
      end = _end(text, start)
      yield Document(_part(name, number), text[start:end])
      start = end + text[end].isspace()
      number += 1
      tally.cut += 1
    held.append(text[start:])
    size = len(held[0]) + 1
  yield Document(_part(name, number), "\n".join(held))


def _part(name: str, number: int) -> str:
  return name if number == 1 else f"{name}, part {number}"


def _end(text: str, start: int) -> int:
  """Where the part that starts at `start` ends; at least one further on."""
  stop = start + MAX_CHARACTERS
  # The character at `stop` may be the line end or the space itself.
  end = text.rfind("\n", start + 1, stop + 1)
  if end >= 0:
    return end
  spaced = _LAST_SPACE.match(text, start + 1, stop + 1)
  return spaced.end() - 1 if spaced else stop
