# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read what WikiExtractor writes: articles in tags, or JSON lines.

Its files are called AA/wiki_00 and have no suffix; with --compress they end in
.bz2. It escapes &, < and > in the text (https://github.com/attardi/wikiextractor,
`--html-safe`, by default), and the title is the first line of the text.
"""

import itertools
import re
from collections.abc import Iterator

from data_pipelines.corpora import json_files
from data_pipelines.corpora.documents import Document
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.lines import decoded_lines
from data_pipelines.corpora.long_documents import join_lines
from data_pipelines.corpora.reading import ReadCounts, ReadOptions

_START = re.compile(r'<doc id="[^"]*" .*title=".*">\s*')
_END = "</doc>"


def read_wiki(
  file: File, options: ReadOptions, counts: ReadCounts
) -> Iterator[Document]:
  """Yield the articles of a file of WikiExtractor, empty ones included.

  Raises:
    ValueError: see `lines.decoded_lines` and `read_articles`; also a file that
      WikiExtractor has not written.
  """
  lines = decoded_lines(file, options, counts)
  first = next(lines, None)
  if first is None:
    return
  lines = itertools.chain((first,), lines)
  if begins_article(first[1]):
    yield from read_articles(file, lines, options, counts)
  elif first[1].startswith("{"):
    for article in json_files.read_objects(file, lines, options, counts):
      yield article._replace(text=_unescaped(article.text))
  else:
    raise ValueError(
      f"{file.name} is named as the files of WikiExtractor, but begins neither "
      "with <doc …> nor with a JSON object; rename it to .txt if it is text"
    )


def begins_article(line: str) -> bool:
  """Return whether a line is the tag that begins an article."""
  return line.startswith("<doc ") and bool(_START.fullmatch(line))


def read_articles(
  file: File,
  lines: Iterator[tuple[int, str]],
  options: ReadOptions,
  counts: ReadCounts,
) -> Iterator[Document]:
  """Yield the text between <doc …> and </doc>, without the tags.

  Raises:
    ValueError: an article that does not end, or text outside of articles.
  """
  for number, line in lines:
    place = f"{file.name}:{number}"
    if begins_article(line):
      yield from join_lines(place, _body(place, lines), counts)
    elif line and not line.isspace():
      options.skip_or_raise(counts, place, "text outside of <doc …> and </doc>")


def _body(place: str, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
  for _, line in lines:
    if line.rstrip() == _END:
      return
    if begins_article(line):
      break
    yield _unescaped(line)
  raise ValueError(
    f"{place}: the article that begins here has no </doc>; extract it again"
  )


def _unescaped(text: str) -> str:
  if "&" not in text:
    return text
  return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
