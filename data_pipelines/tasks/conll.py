# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read tagged words in the columns of CoNLL's shared tasks.

A line is a word and its tag, with other columns before, between or behind
them. Columns are divided by tabs, or by spaces in a file without a tab. A
blank line ends a sentence, and a line that begins with -DOCSTART- a document.
"""

import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from bertjax.config import TaskConfig
from data_pipelines.tasks.file_splits import (
  ExampleFile,
  Splits,
  leave_out,
  load_splits,
)
from data_pipelines.tasks.splits import TextKey
from data_pipelines.tasks.table_files import (
  BadRow,
  Row,
  listed,
  read_lines,
)

_DOCUMENT = "-DOCSTART-"
# O, or B, I, E or S with a type (IO, BIO, BIOES).
_TAG = re.compile(r"O|[BIES]-\S.*")


class Columns(NamedTuple):
  """Which column has the word and which the tag: from 0, or −1 for the last."""

  word: int
  tag: int


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


class _Line(NamedTuple):
  number: int
  fields: list[str]


def read_file(
  path: str, columns: Columns, skip_bad_rows: bool
) -> ExampleFile[Sentence]:
  """Read the sentences of a file.

  A sentence is bad if a line has another number of columns than the first
  line of the file, no word, no tag, or a tag of another form.

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
  for lines in _sentences(path):
    if not width:
      width = len(lines[0].fields)
      _check_columns(path, lines[0], columns)
    wrong = next(filter(None, (_wrong(e, columns, width) for e in lines)), "")
    if not wrong:
      words = tuple(line.fields[columns.word] for line in lines)
      tags = tuple(line.fields[columns.tag] for line in lines)
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
    wrong = next((e for e in lines if not _word_of(e, word_column)), None)
    if wrong is not None:
      yield BadRow(
        first, f"has no word in column {word_column} of line {wrong.number}"
      )
      continue
    words = tuple(_word_of(line, word_column) for line in lines)
    yield Row(first, {"words": words, "text": " ".join(words)})


def _word_of(line: _Line, column: int) -> str:
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


def load_sentences(
  config: TaskConfig, labels: tuple[str, ...] | None
) -> tuple[Splits[Sentence], tuple[str, ...]]:
  """Return the sentences, and the tags: those given, or those of train.

  Args:
    config: names the files, the columns and the shares to hold out.
    labels: the tags that there are, where only the test file is read.

  Raises:
    ValueError: as `read_file`, `load_splits` and `leave_out`.
  """
  columns = Columns(config.word_column, config.tag_column)
  loaded = load_splits(
    config,
    lambda path: read_file(path, columns, config.skip_bad_rows),
    text_key,
    alone=labels is not None,
  )
  train = loaded.examples.get("train", ())
  found = labels or tuple(sorted({tag for s in train for tag in s.tags}))
  if config.skip_bad_rows:
    loaded = leave_out(loaded, lambda s: unknown_tag(s, found))
  return loaded, found


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


def _wrong(line: _Line, columns: Columns, width: int) -> str:
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
  if not _TAG.fullmatch(tag):
    return (
      f"{line.number} has the tag {tag!r}; give O, or B-, I-, E- or S- with a "
      "type, such as B-PER, or another --config.task.tag_column"
    )
  return ""
