# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Cut long documents, so that memory is bounded for any corpus."""

import re
from collections.abc import Iterable, Iterator

from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.reading import ReadCounts

MAX_CHARACTERS = 8_388_608

_LAST_SPACE = re.compile(r".*\s", re.DOTALL)


def split_long(document: Document, counts: ReadCounts) -> Iterable[Document]:
  """Return the document, or its parts if it exceeds `MAX_CHARACTERS`."""
  if len(document.text) <= MAX_CHARACTERS:
    return (document,)
  return join_lines(document.name, (document.text,), counts)


def join_lines(
  name: str, lines: Iterable[str], counts: ReadCounts
) -> Iterator[Document]:
  """Join lines to one document, or to several parts if it is too long.

  A part ends at the last line end that fits, else at the last white space;
  that character is dropped. A text without white space is cut anywhere. At
  most one part and one line are in memory.

  Args:
    name: name of the document; later parts have their number appended.
    lines: lines without line ends.
    counts: `counts.cut` grows by the parts after the first.
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
      counts.cut += 1
    held.append(text[start:])
    size = len(held[0]) + 1
  yield Document(_part(name, number), "\n".join(held))


def _part(name: str, number: int) -> str:
  return name if number == 1 else f"{name}, part {number}"


def _end(text: str, start: int) -> int:
  """Return the end of the part that starts at `start`, which is not empty."""
  stop = start + MAX_CHARACTERS
  # The character at `stop` is dropped if it is a line end or a space.
  end = text.rfind("\n", start + 1, stop + 1)
  if end >= 0:
    return end
  spaced = _LAST_SPACE.match(text, start + 1, stop + 1)
  return spaced.end() - 1 if spaced else stop
