# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read tagged words in the columns of CoNLL's shared tasks.

A line is a word and its tag, with other columns before, between or behind
them. Columns are divided by tabs, or by spaces in a file without a tab. A
blank line ends a sentence, and a line that begins with -DOCSTART- a document.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from data_pipelines.tasks.file_splits import ExampleFile
from data_pipelines.tasks.sentences import Sentence, TagForm
from data_pipelines.tasks.table_files import BadRow, Row, read_lines

_DOCUMENT = "-DOCSTART-"


class Columns(NamedTuple):
  """Which column has the word and which the tag: from 0, or −1 for the last."""

  word: int
  tag: int


class _Line(NamedTuple):
  number: int
  fields: list[str]


def read_file(
  path: str, columns: Columns, skip_bad_rows: bool
) -> ExampleFile[Sentence]:
  """Read the sentences of a file.

  A sentence is bad if a line has another number of columns than the first
  line of the file, no word, no tag, or a tag of another form than the others
  of the file (`TagForm`).

  Args:
    path: path of the file.
    columns: the columns of words and tags.
    skip_bad_rows: leave out bad sentences; otherwise the first is an error.

  Raises:
    ValueError: the file cannot be read, has no such column or no sentence, or
      a sentence is bad and is not to be skipped.
  """
  sentences, skipped = [], []
  width = 0
  form = TagForm.find(_tags(path, columns.tag))
  for lines in _sentences(path):
    if not width:
      width = len(lines[0].fields)
      _check_columns(path, lines[0], columns)
    wrong = next(
      filter(None, (_wrong(e, columns, width, form) for e in lines)), ""
    )
    if not wrong:
      words = tuple(line.fields[columns.word] for line in lines)
      tags = tuple(form.complete(line.fields[columns.tag]) for line in lines)
      sentences.append(Sentence(words, tags, f"{path}:{lines[0].number}"))
    elif skip_bad_rows:
      skipped.append(f"{path}:{wrong}")
    else:
      raise ValueError(
        f"{path}:{wrong}; to leave out such sentences, give "
        "--config.task.skip_bad_rows"
      )
  if not sentences:
    few = f" that can be used; {skipped[0]}" if skipped else ""
    raise ValueError(
      f"{path} has no sentences{few}; give lines of a word and its tag"
    )
  return ExampleFile(tuple(sentences), tuple(skipped))


def read_words(path: str, word_column: int = 0) -> Iterator[Row | BadRow]:
  """Yield the words of each sentence of a file, whose tags are not read.

  A line may have a word and nothing else. The file is read sentence by
  sentence.

  Args:
    path: path of the file.
    word_column: the column of words, from 0, or −1 for the last one.

  Returns:
    Rows with `words` and, with a space between words, `text`; a row's line is
    that of its first word. A sentence with a line that has no word is bad.

  Raises:
    ValueError: the file cannot be read.
  """
  for lines in _sentences(path):
    first = lines[0].number
    wrong = next((e for e in lines if not _field(e, word_column)), None)
    if wrong is not None:
      yield BadRow(
        first, f"has no word in column {word_column} of line {wrong.number}"
      )
      continue
    words = tuple(_field(line, word_column) for line in lines)
    yield Row(first, {"words": words, "text": " ".join(words)})


def _tags(path: str, column: int) -> Iterator[str]:
  """Yield the tags of the lines that have as many columns as the first one."""
  lines = itertools.chain.from_iterable(_sentences(path))
  width = 0
  for line in lines:
    width = width or len(line.fields)
    if len(line.fields) == width:
      yield _field(line, column)


def _field(line: _Line, column: int) -> str:
  """Return a field, "" where the line lacks the column."""
  width = len(line.fields)
  return line.fields[column] if -width <= column < width else ""


def _sentences(path: str) -> Iterator[list[_Line]]:
  is_tabbed = any("\t" in line for line in read_lines(path))
  return _divide(read_lines(path), "\t" if is_tabbed else None)


def _divide(
  source: Iterable[str], separator: str | None
) -> Iterator[list[_Line]]:
  lines: list[_Line] = []
  for number, line in enumerate(itertools.chain(source, ("",)), 1):
    is_document = line.startswith(_DOCUMENT)
    if line.strip() and not is_document:
      fields = line.strip("\r\n").split(separator)
      lines.append(_Line(number, [field.strip() for field in fields]))
    elif lines:
      yield lines
      lines = []


def _check_columns(path: str, line: _Line, columns: Columns) -> None:
  width = len(line.fields)
  for name, column in zip(("word", "tag"), columns, strict=True):
    if not -width <= column < width:
      raise ValueError(
        f"task.{name}_column={column}: {path}:{line.number} has {width} "
        f"columns; give 0 to {width - 1}, or -1 for the last one"
      )
  if columns.word % width == columns.tag % width:
    raise ValueError(
      f"{path}:{line.number} has {width} columns, and task.word_column="
      f"{columns.word} and task.tag_column={columns.tag} are the same one; "
      "give lines of a word and its tag"
    )


def _wrong(line: _Line, columns: Columns, width: int, form: TagForm) -> str:
  """Return what is wrong with a line, with its number; "" if nothing is."""
  if len(line.fields) != width:
    return (
      f"{line.number} has {len(line.fields)} columns, and the first line "
      f"{width}: every word needs a tag"
    )
  word, tag = (line.fields[column] for column in columns)
  if not word:
    return f"{line.number} has the tag {tag!r} and no word"
  if not tag:
    return f"{line.number} has the word {word!r} and no tag"
  if wrong := form.wrong(tag):
    return f"{line.number} {wrong}, or another --config.task.tag_column"
  return ""
