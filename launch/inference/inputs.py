# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The texts of a file or of standard input, row by row."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from bertjax.files import describe_json, sha256_of
from data_pipelines.tasks.choice_rows import given_choices, list_choices
from data_pipelines.tasks.table_files import (
  BadRow,
  Columns,
  Row,
  decode_lines,
  json_rows,
  listed,
  read_rows,
)
from data_pipelines.tasks.typed_rows import is_name

STDIN = "-"
_STDIN_NAME = "standard input"
# A model is trained on no more (`TaskConfig.num_choices`).
MOST_CHOICES = 32
# How many bad rows a message shows before it counts the others.
SHOWN = 5


class Example(NamedTuple):
  """A row that can be used.

  Attributes:
    line: its line.
    texts: its text, or two texts.
    choices: the choices among which one is to be found, "" for one that the
      row lacks; empty where nothing is chosen.
    words: the words of its text, where the file has divided it.
    id: what the file calls it; "" for nothing.
  """

  line: int
  texts: tuple[str, ...]
  choices: tuple[str, ...] = ()
  words: tuple[str, ...] = ()
  id: str = ""

  @property
  def windows(self) -> int:
    """The number of windows, if none of its texts is divided."""
    return max(len(self.choices), 1)

  @property
  def characters(self) -> int:
    """The number of characters of its windows."""
    return sum(map(len, self.texts)) * self.windows + sum(
      map(len, self.choices)
    )


class Form(NamedTuple):
  """How a file is read that is no table.

  Attributes:
    name: its name, which determines how it is read.
    read: path → rows with the columns of `columns`, and with `words` and `id`
      where the form has them.
    columns: the columns of the texts.
    words: whether rows have `words`.
    ids: whether rows may have an `id`.
  """

  name: str
  read: Callable[[str], Iterator[Row | BadRow]]
  columns: Columns
  words: bool = False
  ids: bool = False


@dataclasses.dataclass(frozen=True)
class Source:
  """Where texts come from.

  Attributes:
    path: a file, the name of a data set, or "-" for lines of JSON on standard
      input.
    columns: the columns of the texts; `others` are those of choices.
    skip_bad_rows: whether rows that cannot be used are left out and counted.
    form: how a file is read that is no table; its columns are `columns`.
  """

  path: str
  columns: Columns
  skip_bad_rows: bool = False
  form: Form | None = None

  @property
  def is_stdin(self) -> bool:
    """Whether the rows can be read only once."""
    return self.path == STDIN

  @property
  def name(self) -> str:
    """What messages call it."""
    return _STDIN_NAME if self.is_stdin else self.path

  def rows(self) -> Iterator[Example | BadRow]:
    """Yield every row, in order.

    Raises:
      ValueError: the source cannot be read.
    """
    if self.form is not None:
      rows = self.form.read(self.path)
    elif self.is_stdin:
      rows = json_rows(decode_lines(sys.stdin.buffer, self.name))
    else:
      wanted = (*self.columns.texts, *self.columns.others)
      rows = read_rows(self.path, self.columns, wanted)
    for row in rows:
      yield self._example(row) if isinstance(row, Row) else row

  def _example(self, row: Row) -> Example | BadRow:
    example = _example(row, self.columns)
    if self.form is None or isinstance(example, BadRow):
      return example
    name = row.fields.get("id", "")
    return example._replace(
      words=row.fields.get("words", ()),
      id=name if isinstance(name, str) else str(name),
    )

  def describe(self, row: BadRow) -> str:
    """Return where a bad row is, and what is wrong with it."""
    return f"{self.name}:{row.line} {row.wrong}"

  def check(self, bad: "BadRows") -> None:
    """Refuse bad rows that are not to be skipped.

    Raises:
      ValueError: there is one.
    """
    if bad.count and not self.skip_bad_rows:
      more = f" ({bad.count:,} rows are bad in all)" if bad.count > 1 else ""
      raise ValueError(
        f"{bad.first[0]}{more}; to leave out such rows, give --skip_bad_rows"
      )


@dataclasses.dataclass
class BadRows:
  """Rows that cannot be used: how many, and the first of them."""

  count: int = 0
  first: tuple[str, ...] = ()

  def add(self, text: str) -> None:
    """Count a row."""
    self.count += 1
    if self.count <= SHOWN:
      self.first = (*self.first, text)

  def __str__(self) -> str:
    """Name the first, and count the others."""
    more = self.count - len(self.first)
    return "; ".join(self.first) + (f"; and {more:,} more" if more > 0 else "")


@dataclasses.dataclass(frozen=True)
class Examined:
  """What is known of a source before it is used.

  Attributes:
    rows: number of rows that can be used.
    bad: the others.
    identity: what distinguishes its rows from those of another source.
  """

  rows: int
  bad: BadRows
  identity: Mapping[str, str]


def examine(source: Source) -> Examined:
  """Read a source to its end, and count its rows.

  Raises:
    ValueError: it cannot be read, has no usable row, or a row is bad and is not
      to be skipped.
  """
  rows, bad = 0, BadRows()
  for row in source.rows():
    if isinstance(row, BadRow):
      bad.add(source.describe(row))
    else:
      rows += 1
  source.check(bad)
  if not rows:
    few = f" that can be used; {bad}" if bad.count else ""
    raise ValueError(f"{source.path} has no rows{few}; give a file with texts")
  columns = ",".join((*source.columns.texts, *source.columns.others))
  identity = {
    "columns": columns if source.form is None else source.form.name,
    # What is behind the name of a data set is taken to stay.
    "input": source.path if is_name(source.path) else sha256_of(source.path),
  }
  return Examined(rows, bad, identity)


def _example(row: Row, columns: Columns) -> Example | BadRow:
  texts = []
  for name in columns.texts:
    if name not in row.fields:
      return BadRow(row.line, columns.lacking(name, tuple(row.fields)))
    text = row.fields[name]
    if not isinstance(text, str):
      return BadRow(
        row.line, f"has {describe_json(text)} as {name!r}; give a string"
      )
    if not text.strip():
      return BadRow(row.line, f"has no text in the column {name!r}; give one")
    if _is_halved(text):
      return BadRow(row.line, f"has half of a character in {name!r}; mend it")
    texts.append(text)
  if not columns.others:
    return Example(row.line, tuple(texts))
  choices = _choices(row, columns.others)
  if isinstance(choices, BadRow):
    return choices
  return Example(row.line, tuple(texts), choices)


def _choices(row: Row, names: tuple[str, ...]) -> tuple[str, ...] | BadRow:
  choices = list_choices(row, names)
  if isinstance(choices, BadRow):
    return choices
  where = f"in {listed(names)}"
  if len(choices) > MOST_CHOICES:
    return BadRow(
      row.line,
      f"has {len(choices)} choices {where}; give {MOST_CHOICES} at most",
    )
  given = len(given_choices(choices))
  if given < 2:
    return BadRow(row.line, f"has {given} choices {where}; give two or more")
  if any(map(_is_halved, choices)):
    return BadRow(row.line, f"has half of a character {where}; mend it")
  return choices


def _is_halved(text: str) -> bool:
  """Return whether a text has half of a character, as JSON may have."""
  try:
    text.encode()
  except UnicodeEncodeError:
    return True
  return False
