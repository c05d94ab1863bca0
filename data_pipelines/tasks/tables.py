# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Labeled tables (.csv, .tsv, .jsonl): texts and labels by column name."""

import csv
import dataclasses
import io
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

_READABLE = ".csv, .tsv and .jsonl"
# How many names an error message lists before it counts the others.
_SHOWN = 12


@dataclasses.dataclass(frozen=True)
class Columns:
  """Names of the columns to read.

  Attributes:
    text: column of the text.
    label: column of the label.
    text_pair: column of the second text; "" for single texts.
    header: names of all columns, for a file without a header line.
  """

  text: str = "text"
  label: str = "label"
  text_pair: str = ""
  header: tuple[str, ...] = ()

  @property
  def wanted(self) -> tuple[str, ...]:
    """The columns that a file must have."""
    pair = (self.text_pair,) if self.text_pair else ()
    return (self.text, *pair, self.label)


@dataclasses.dataclass(frozen=True)
class Table:
  """The wanted columns of one file, and the line where each row begins."""

  path: str
  texts: tuple[str, ...]
  pairs: tuple[str, ...] | None
  labels: tuple[str, ...]
  lines: tuple[int, ...]


Row = tuple[int, Mapping[str, str]]


def read_table(path: str, columns: Columns) -> Table:
  """Read the named columns of a file.

  Fields of a .csv may be quoted (RFC 4180) and span lines. A .tsv has no
  quoting, as in GLUE. A .jsonl has one object per line. A byte-order mark and
  blank lines are skipped.

  Raises:
    ValueError: the file is missing, has another suffix, no rows, bytes that
      are not UTF-8, a malformed row, no such column or an empty label. The
      message is one line with the file, the line and the existing columns.
  """
  file = pathlib.Path(path)
  readers = {".csv": _csv_rows, ".tsv": _tsv_rows, ".jsonl": _json_rows}
  if not file.is_file():
    raise ValueError(f"{path!r} is not a file; give a table of labeled texts")
  if file.suffix not in readers:
    raise ValueError(f"{path} ends in {file.suffix!r}; give one of {_READABLE}")
  rows = list(readers[file.suffix](path, _decode(file), columns))
  if not rows:
    raise ValueError(f"{path} has no rows; give a table with labeled texts")
  return Table(
    path,
    tuple(row[columns.text] for _, row in rows),
    tuple(row[columns.text_pair] for _, row in rows)
    if columns.text_pair
    else None,
    tuple(row[columns.label] for _, row in rows),
    tuple(line for line, _ in rows),
  )


def listed(names: tuple[str, ...]) -> str:
  """Return the first names, and how many more there are."""
  more = len(names) - _SHOWN
  shown = ", ".join(names[:_SHOWN])
  return f"{shown} and {more} more" if more > 0 else shown


def _decode(file: pathlib.Path) -> str:
  raw = file.read_bytes()
  try:
    return raw.decode().removeprefix("\ufeff")
  except UnicodeDecodeError as error:
    start = error.start
    line = raw.count(b"\n", 0, start) + 1
    raise ValueError(
      f"{file}:{line} is not UTF-8 (byte 0x{raw[start]:02x}); convert the file"
    ) from error


def _csv_rows(path: str, text: str, columns: Columns) -> Iterator[Row]:
  lines = io.StringIO(text, newline="")
  reader = csv.reader(lines, strict=True)
  yield from _named(path, _numbered(path, reader), columns)


def _tsv_rows(path: str, text: str, columns: Columns) -> Iterator[Row]:
  lines = (line.removesuffix("\r") for line in text.split("\n"))
  rows = (
    (number, line.split("\t")) for number, line in enumerate(lines, 1) if line
  )
  yield from _named(path, rows, columns)


def _numbered(path: str, reader: Any) -> Iterator[tuple[int, list[str]]]:
  start = 1
  try:
    for fields in reader:
      if fields:
        yield start, fields
      start = reader.line_num + 1
  except csv.Error as error:
    raise ValueError(
      f"{path}:{start} is not well-formed CSV ({error}); correct that row"
    ) from error


def _named(
  path: str, rows: Iterator[tuple[int, list[str]]], columns: Columns
) -> Iterator[Row]:
  header = columns.header
  if not header:
    _, first = next(rows, (0, []))
    if not first:
      raise ValueError(f"{path} is empty; name the columns in its first line")
    header = tuple(name.strip() for name in first)
  _check_columns(path, header, columns)
  for line, fields in rows:
    if len(fields) != len(header):
      raise ValueError(
        f"{path}:{line} has {len(fields)} fields; the file has "
        f"{len(header)} columns: {listed(header)}"
      )
    yield (
      line,
      _checked(path, line, dict(zip(header, fields, strict=True)), columns),
    )


def _check_columns(
  path: str, header: tuple[str, ...], columns: Columns
) -> None:
  for name in columns.wanted:
    if name not in header:
      raise ValueError(
        f"{path} has no column {name!r}; it has {listed(header)}"
      )
    if header.count(name) > 1:
      raise ValueError(
        f"{path} has {header.count(name)} columns {name!r}; rename all but one"
      )


def _checked(
  path: str, line: int, row: Mapping[str, str], columns: Columns
) -> Mapping[str, str]:
  if not row[columns.label].strip():
    raise ValueError(
      f"{path}:{line} is empty in the label column {columns.label!r}; label "
      "that row or delete it"
    )
  return row


def _json_rows(path: str, text: str, columns: Columns) -> Iterator[Row]:
  for line, source in enumerate(text.split("\n"), start=1):
    if not source.strip():
      continue
    try:
      row = json.loads(source)
    except json.JSONDecodeError as error:
      raise ValueError(
        f"{path}:{line} is not JSON ({error.msg}); a .jsonl file has one "
        "object per line"
      ) from error
    if not isinstance(row, dict):
      raise ValueError(
        f"{path}:{line} holds a {type(row).__name__}; a .jsonl file has one "
        "object per line"
      )
    for name in columns.wanted:
      if name not in row:
        raise ValueError(
          f"{path}:{line} has no column {name!r}; it has {listed(tuple(row))}"
        )
    yield (
      line,
      _checked(path, line, _as_text(path, line, row, columns), columns),
    )


def _as_text(
  path: str, line: int, row: Mapping[str, object], columns: Columns
) -> Mapping[str, str]:
  fields = {}
  for name in columns.wanted:
    value = row[name]
    # A label may be a number or a boolean; a text must be a string.
    allowed = (str, int) if name == columns.label else (str,)
    if not isinstance(value, allowed):
      raise ValueError(
        f"{path}:{line}: {name!r} is a {type(value).__name__}; give a string"
      )
    fields[name] = str(value)
  return fields
