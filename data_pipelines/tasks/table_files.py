# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of a table: a file, or the name of a data set; with their lines.

A row that cannot be read is a `BadRow` in its place, so that the caller can
refuse it or count it. A file that cannot be read is an error. Files are read
row by row, so that they may be larger than the memory.
"""

import csv
import dataclasses
import io
import itertools
import json
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bertjax.files import describe_json, first_line
from data_pipelines.tasks import csv_quotes, typed_rows

SUFFIXES = ".csv, .tsv, .txt, .jsonl and .parquet"
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
    quotes: whether a file that is divided by tabs may have quoted fields.
      Those of GLUE never have them.
    others: other columns to read.
    flags: {text, label, text_pair or others: what names it}, for errors.
  """

  text: str = "text"
  label: str = "label"
  text_pair: str = ""
  header: tuple[str, ...] = ()
  quotes: bool = True
  others: tuple[str, ...] = ()
  flags: Mapping[str, str] = dataclasses.field(
    default_factory=dict, compare=False
  )

  def lacking(self, name: str, names: tuple[str, ...]) -> str:
    """Return what is wrong where the column `name` is not among `names`."""
    of_flag = {
      **dict.fromkeys(self.others, "others"),
      self.label: "label",
      self.text_pair: "text_pair",
      self.text: "text",
    }
    flag = self.flags.get(of_flag.get(name, ""))
    fix = f"; give {flag}=NAME" if flag else ""
    return f"has no column {name!r}; it has {listed(names)}{fix}"

  @property
  def texts(self) -> tuple[str, ...]:
    """The columns of the texts of an example."""
    return (self.text, self.text_pair) if self.text_pair else (self.text,)


class Row(NamedTuple):
  """A row, and the line on which it begins."""

  line: int
  fields: Mapping[str, Any]


class BadRow(NamedTuple):
  """A row that cannot be read: its line, and what is wrong with it."""

  line: int
  wrong: str


# Number of a line, and the fields of the row that begins there.
_Split = Iterator[tuple[int, Sequence[str]]]


def read_rows(
  path: str, columns: Columns, wanted: tuple[str, ...]
) -> Iterator[Row | BadRow]:
  """Yield the rows of a file, or of a data set that `typed_rows` opens.

  Fields of a .csv may be quoted (RFC 4180), span lines and have any length. A
  .tsv or .txt is split at its tabs, and quotes are characters of the text, as
  in GLUE, unless the file can only be read with quoting (the original file of
  Quora). Blank lines are skipped. A .jsonl has an object on each line.

  Args:
    path: path of the file, whose suffix names the format, or name of a data
      set.
    columns: names of the columns. Where they have a header, a first line with
      the names of the texts is a header line nevertheless: the test split of
      CoLA has one, and its other splits have none.
    wanted: columns that a header must have.

  Raises:
    ValueError: the file is missing, has another suffix, no rows, bytes that
      are not UTF-8, no such column, or is not well-formed CSV.
  """
  if typed_rows.is_typed(path):
    yield from _typed(path, columns, wanted)
    return
  _check_file(path)
  for _ in _lines(path):  # what is not UTF-8 is refused before the first row
    pass
  suffix = pathlib.Path(path).suffix.lower()
  if suffix == ".jsonl":
    yield from json_rows(_lines(path))
    return
  if suffix not in {".csv", ".tsv", ".txt"}:
    raise ValueError(f"{path} ends in {suffix!r}; give one of {SUFFIXES}")
  if suffix == ".csv" and not _is_tabbed(path, columns):
    fields = _quoted(path, ",")
  elif columns.quotes and _needs_quoting(path):
    fields = _quoted(path, "\t")
  else:
    fields = _plain_fields(path)
  yield from _named(path, fields, columns, wanted)


def listed(names: tuple[str, ...]) -> str:
  """Return the first names, and how many more there are."""
  more = len(names) - _SHOWN
  shown = ", ".join(names[:_SHOWN])
  return f"{shown} and {more} more" if more > 0 else shown


def decode(path: str) -> str:
  """Return the text of a file, without its byte-order mark.

  Raises:
    ValueError: the file is missing, or has bytes that are not UTF-8.
  """
  return "".join(read_lines(path))


def read_lines(path: str) -> Iterator[str]:
  """Return the lines of a file with their ends, one after the other.

  Raises:
    ValueError: as `decode`; what is not UTF-8 is found on the way.
  """
  _check_file(path)
  return _lines(path)


def _lines(path: str) -> Iterator[str]:
  """Yield the lines of a file with their ends, without its byte-order mark."""
  with open(path, "rb") as stream:
    yield from decode_lines(stream, path)


def decode_lines(stream: Iterable[bytes], path: str) -> Iterator[str]:
  """Yield lines as text, without a byte-order mark.

  Args:
    stream: lines that end in a line feed.
    path: where they come from, for the error.

  Raises:
    ValueError: a line is not UTF-8.
  """
  for number, raw in enumerate(stream, 1):
    try:
      line = raw.decode()
    except UnicodeDecodeError as error:
      raise ValueError(
        f"{path}:{number} is not UTF-8 (byte 0x{raw[error.start]:02x}); "
        "convert the file"
      ) from error
    yield line.removeprefix("\ufeff") if number == 1 else line


def _check_file(path: str) -> None:
  file = pathlib.Path(path)
  if file.is_dir():
    raise ValueError(f"{path!r} is a folder; give a file")
  if not file.exists():
    raise ValueError(f"there is no file {path!r}; give the path of one")
  if not file.is_file():
    raise ValueError(
      f"{path!r} is a pipe or a device, and files are read more than once; "
      "give a file"
    )


def _typed(
  path: str, columns: Columns, wanted: tuple[str, ...]
) -> Iterator[Row]:
  if not typed_rows.is_name(path):
    _check_file(path)
  chosen = dict.fromkeys((*columns.texts, *columns.others, columns.label))
  table = typed_rows.open_table(path, tuple(chosen))
  _check_names(path, columns, table.names, wanted)
  for number, fields in enumerate(table.rows, table.first):
    yield Row(number, fields)


def _check_names(
  path: str,
  columns: Columns,
  names: tuple[str, ...],
  wanted: tuple[str, ...],
) -> None:
  for name in wanted:
    if name not in names:
      raise ValueError(f"{path} {columns.lacking(name, names)}")
    if names.count(name) > 1:
      raise ValueError(
        f"{path} has {names.count(name)} columns {name!r}; rename all but one"
      )


def _is_tabbed(path: str, columns: Columns) -> bool:
  """Return whether a .csv is divided by tabs, as STS-B's original files."""
  line = next(_lines(path), "").removesuffix("\n")
  first = line.removesuffix("\r").split("\t")
  return len(first) > 1 and (
    {*columns.texts} <= {*first} or len(first) == len(columns.header)
  )


def _plain_fields(path: str) -> _Split:
  for number, line in enumerate(_lines(path), 1):
    bare = line.removesuffix("\n").removesuffix("\r")
    if bare:
      yield number, bare.split("\t")


def _needs_quoting(path: str) -> bool:
  """Return whether rows have one width only if quoted fields are joined."""
  if not any('"' in line for line in _lines(path)):
    return False
  wanted = {
    len(fields) for _, fields in itertools.islice(_plain_fields(path), 1)
  }
  if _widths(_plain_fields(path)) <= wanted:
    return False
  try:
    return _widths(_quoted(path, "\t")) == wanted
  except ValueError:
    return False


def _widths(rows: _Split) -> set[int]:
  return {len(fields) for _, fields in rows}


def _quoted(path: str, delimiter: str) -> _Split:
  # Fields of any length: csv refuses more than 131,072 characters else.
  csv.field_size_limit(sys.maxsize)
  reader = csv.reader(_csv_lines(path), strict=True, delimiter=delimiter)
  start = 1
  try:
    for fields in reader:
      if fields:
        yield start, fields
      start = reader.line_num + 1
  except csv.Error as error:
    lines = itertools.islice(_csv_lines(path), start - 1, None)
    found = csv_quotes.find(lines, start, delimiter)
    line, wrong = start, f"{error}; correct that row"
    if found:
      line, wrong = found.line, str(found)
    raise ValueError(
      f"{path}:{line} is not well-formed CSV: {wrong}"
    ) from error


def _csv_lines(path: str) -> Iterator[str]:
  """Yield lines with their ends; a lone carriage return ends one, too."""
  for line in _lines(path):
    yield from io.StringIO(line, newline="")


def _named(
  path: str, rows: _Split, columns: Columns, wanted: tuple[str, ...]
) -> Iterator[Row | BadRow]:
  line, first = next(rows, (0, []))
  if not first:
    raise ValueError(f"{path} is empty; name the columns in its first line")
  names = tuple(name.strip() for name in first)
  is_header = not columns.header or {*columns.texts} <= {*names}
  header = names if is_header else columns.header
  _check_names(path, columns, header, wanted)
  if not is_header:
    yield _with_names(line, first, header)
  for line, fields in rows:
    yield _with_names(line, fields, header)


def _with_names(
  line: int, fields: Sequence[str], header: tuple[str, ...]
) -> Row | BadRow:
  if len(fields) != len(header):
    last = line + sum(field.count("\n") for field in fields)
    open_quote = f"; it ends on line {last}: is a quote open?"
    return BadRow(
      line,
      f"has {len(fields)} fields; the file has {len(header)} columns: "
      f"{listed(header)}{open_quote if last > line else ''}",
    )
  return Row(line, dict(zip(header, fields, strict=True)))


def json_rows(lines: Iterable[str]) -> Iterator[Row | BadRow]:
  """Yield the object on each line; blank lines are skipped."""
  for line, source in enumerate(lines, start=1):
    if not source.strip():
      continue
    try:
      row = json.loads(source)
    except (ValueError, RecursionError) as error:
      # A number of 5,000 digits is a ValueError.
      reason = getattr(error, "msg", None) or first_line(error)
      yield BadRow(
        line, f"is not JSON ({reason}); a .jsonl file has one object per line"
      )
      continue
    if isinstance(row, dict):
      yield Row(line, row)
    else:
      yield BadRow(
        line,
        f"holds {describe_json(row)}; a .jsonl file has one object per line",
      )
