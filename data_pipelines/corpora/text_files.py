# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read files of plain text."""

import itertools
from collections.abc import Iterator

from data_pipelines.corpora import wiki_files
from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.lines import decoded_lines
from data_pipelines.corpora.long_documents import join_lines
from data_pipelines.corpora.reading import ReadCounts, ReadOptions


def read_text(
  file: File, options: ReadOptions, counts: ReadCounts
) -> Iterator[Document]:
  """Yield the documents of a .txt file in order, empty ones included.

  A file that begins as WikiExtractor's does is read as one of these. A line
  that is too long to be held is read as several.

  Raises:
    ValueError: see `lines.decoded_lines` and `wiki_files.read_articles`.
  """
  lines = decoded_lines(file, options, counts, cut=True)
  if (first := next(lines, None)) is not None:
    lines = itertools.chain((first,), lines)
    if wiki_files.begins_article(first[1]):
      yield from wiki_files.read_articles(file, lines, options, counts)
      return
  if options.documents == "file":
    yield from join_lines(file.name, (line for _, line in lines), counts)
    return
  for filled, block in itertools.groupby(lines, lambda line: not _blank(line)):
    if filled:
      number, line = next(block)
      rest = (line for _, line in block)
      name = f"{file.name}:{number}"
      yield from join_lines(name, itertools.chain((line,), rest), counts)


def _blank(numbered: tuple[int, str]) -> bool:
  _, line = numbered
  return not line or line.isspace()
