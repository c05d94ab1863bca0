# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read one column of .csv and .tsv files, whose first line names the columns.

As in labeled tables, .csv has quotes, and .tsv has a tab between two fields and
no quotes.
"""

import csv
import re
import sys
from collections.abc import Iterator, Sequence

from data_pipelines.corpora import lines
from data_pipelines.corpora.documents import Document, clean_text
from data_pipelines.corpora.filesystems import File
from data_pipelines.corpora.reading import ReadCounts, ReadOptions

_LINE_END = re.compile(r"\r\n|\r|\n")


def read_csv(
  file: File, options: ReadOptions, counts: ReadCounts
) -> Iterator[Document]:
  """Yield the documents of a .csv file, one a row, empty ones included.

  Raises:
    ValueError: see `lines.byte_lines`; also a missing column, and a row that is
      not well-formed, not UTF-8, or of another number of fields.
  """
  # The limit is 131,072 characters a field, for the whole process.
  csv.field_size_limit(sys.maxsize)
  feed = _Feed(file, options, counts)
  reader = csv.reader(feed, strict=True)
  return _documents(file, _rows(feed, reader, options, counts), options, counts)


def read_tsv(
  file: File, options: ReadOptions, counts: ReadCounts
) -> Iterator[Document]:
  """Yield the documents of a .tsv file, one a row; see `read_csv`."""
  feed = _Feed(file, options, counts)
  return _documents(file, _tab_rows(feed), options, counts)


class _Feed:
  """Lines as text for `csv.reader`; bytes that are not UTF-8 are surrogates.

  Attributes:
    name: name of the file.
    number: number of the line that was taken last.
    first: number of the first line since the reader's last row.
    held: characters taken since then.
  """

  def __init__(
    self, file: File, options: ReadOptions, counts: ReadCounts
  ) -> None:
    self.number = self.first = self.held = 0
    self.name = file.name
    self._lines = self._split(lines.byte_lines(file, options, counts))

  def _split(
    self, numbered: Iterator[tuple[int, bytes | bytearray]]
  ) -> Iterator[str]:
    for number, data in numbered:
      self.number = number
      text = data.decode(errors="surrogateescape")
      if text.endswith("\n"):
        text = text[:-1].removesuffix("\r")
      if "\r" in text:
        for line in _LINE_END.split(text.removesuffix("\r")):
          yield line + "\n"
      else:
        yield text + "\n"

  def __iter__(self) -> "_Feed":
    return self

  def __next__(self) -> str:
    line = next(self._lines)
    if not self.held:
      self.first = self.number
    self.held += len(line)
    if self.held > lines.MAX_LINE_BYTES:
      raise ValueError(
        f"{self.name}:{self.number}: a row of over {lines.MAX_LINE_BYTES:,} "
        "bytes ends here; is a quote before it never closed? The row begins on "
        f"line {self.first}"
      )
    return line


def _tab_rows(feed: _Feed) -> Iterator[tuple[int, list[str]]]:
  for line in feed:
    feed.held = 0
    if line != "\n":
      yield feed.number, line.removesuffix("\n").split("\t")


def _rows(
  feed: _Feed,
  reader: Iterator[list[str]],
  options: ReadOptions,
  counts: ReadCounts,
) -> Iterator[tuple[int, list[str]]]:
  """Yield the fields of each row and the number of its last line."""
  while True:
    try:
      fields = next(reader, None)
    except csv.Error as error:
      reason = (
        f"not well-formed CSV ({error}) in the row that begins here: close its "
        'quotes, and write one that is part of the text twice ("")'
      )
      options.skip_or_raise(counts, f"{feed.name}:{feed.first}", reason)
      fields = []
    if fields is None:
      return
    feed.held = 0
    if fields:
      yield feed.number, fields


def _documents(
  file: File,
  rows: Iterator[tuple[int, list[str]]],
  options: ReadOptions,
  counts: ReadCounts,
) -> Iterator[Document]:
  _, header = next(rows, (0, []))
  column = _column(file, [name.strip() for name in header], options.text_field)
  for number, fields in rows:
    place = f"{file.name}:{number}"
    if len(fields) != len(header):
      reason = f"{len(fields)} fields, where the file has {len(header)} columns"
      options.skip_or_raise(counts, place, reason)
    elif not _is_utf8(fields[column]):
      options.skip_or_raise(counts, place, "not UTF-8")
    else:
      yield Document(place, clean_text(fields[column], counts))


def _column(file: File, header: Sequence[str], name: str) -> int:
  if header.count(name) == 1:
    return header.index(name)
  what = "two columns" if name in header else "no column"
  columns = ", ".join(header[:8]) or "none"
  columns = columns.encode(errors="replace").decode()
  raise ValueError(
    f"{file.name} has {what} {name} (its first line has {columns}); name the "
    "text column with --text_field=NAME"
  )


def _is_utf8(text: str) -> bool:
  if text.isascii():
    return True
  try:
    text.encode()
  except UnicodeEncodeError:
    return False
  return True
