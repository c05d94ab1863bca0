# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read tagged words in rows, each a sentence, as data sets of the hub are.

A row has two columns that are lists: its words, and the tag of each. Tags that
a data set of the hub or of TFDS stores as numbers of classes have the names of
these, and so have those of a parquet file that `datasets` has written.
"""

from collections.abc import Iterator
from typing import Any

from bertjax.files import describe_json
from data_pipelines.tasks.file_splits import ExampleFile
from data_pipelines.tasks.sentences import Sentence, TagForm
from data_pipelines.tasks.table_files import (
  BadRow,
  Columns,
  Row,
  listed,
  read_rows,
)


def read_file(
  path: str, words: str, tags: str, skip_bad_rows: bool
) -> ExampleFile[Sentence]:
  """Read the sentences of a file, or of a data set that has a name.

  A row is bad if it has no words, a word that is no text, another number of
  tags than of words, or a tag of another form than the others of the file
  (`TagForm`).

  Args:
    path: as of `read_rows`.
    words: column of the words.
    tags: column of the tags.
    skip_bad_rows: leave out bad rows; otherwise one is an error.

  Raises:
    ValueError: the file cannot be read, has no such column or no sentence, or
      a row is bad and is not to be skipped.
  """
  found: list[tuple[int, tuple[str, ...], tuple[str, ...]]] = []
  bad: list[BadRow] = []
  for row in read_rows(path, Columns(words, tags), (words, tags)):
    read = _sentence(row, words, tags) if isinstance(row, Row) else row
    if isinstance(read, BadRow):
      bad.append(read)
    else:
      found.append((row.line, *read))
  form = TagForm.find(tag for _, _, each in found for tag in each)
  sentences = []
  for line, each, given in found:
    if wrong := next(filter(None, map(form.wrong, given)), ""):
      bad.append(BadRow(line, wrong))
    else:
      complete = tuple(map(form.complete, given))
      sentences.append(Sentence(each, complete, f"{path}:{line}"))
  bad.sort()
  skipped = tuple(f"{path}:{line} {wrong}" for line, wrong in bad)
  if bad and not skip_bad_rows:
    more = f" ({len(bad):,} rows are bad in all)" if len(bad) > 1 else ""
    raise ValueError(
      f"{skipped[0]}{more}; to leave out such rows, give "
      "--config.task.skip_bad_rows"
    )
  if not sentences:
    few = f" that can be used; {skipped[0]}" if skipped else ""
    raise ValueError(
      f"{path} has no sentences{few}; give rows of words and their tags"
    )
  return ExampleFile(tuple(sentences), skipped)


def read_words(path: str, column: str) -> Iterator[Row | BadRow]:
  """Yield the words of each row, whose tags are not read.

  Args:
    path: as of `read_rows`.
    column: column of the words.

  Returns:
    Rows with `words` and, with a space between words, `text`.

  Raises:
    ValueError: the file cannot be read, or has no such column.
  """
  for row in read_rows(path, Columns(column, ""), (column,)):
    words = _words(row, column) if isinstance(row, Row) else row
    if isinstance(words, BadRow):
      yield words
    else:
      yield Row(row.line, {"words": words, "text": " ".join(words)})


def _sentence(
  row: Row, words_name: str, tags_name: str
) -> tuple[tuple[str, ...], tuple[str, ...]] | BadRow:
  """Return the words and the tags of a row."""
  words = _words(row, words_name)
  if isinstance(words, BadRow):
    return words
  tags = _list(row, tags_name)
  if isinstance(tags, BadRow):
    return tags
  if len(words) != len(tags):
    return BadRow(
      row.line,
      f"has {len(words):,} words in {words_name!r} and {len(tags):,} tags in "
      f"{tags_name!r}; every word needs a tag",
    )
  for word, tag in zip(words, tags, strict=True):
    if not isinstance(tag, str):
      what = "has no tag" if tag is None else f"has {describe_json(tag)}"
      return BadRow(
        row.line,
        f"{what} for the word {word!r}; give the names of tags, such as "
        "B-PER, which hf:NAME:SPLIT and tfds:NAME:SPLIT have",
      )
    if not tag.strip():
      return BadRow(row.line, f"has the word {word!r} and no tag")
  return words, tuple(tag.strip() for tag in tags)


def _words(row: Row, name: str) -> tuple[str, ...] | BadRow:
  words = _list(row, name)
  if isinstance(words, BadRow):
    return words
  if not words:
    return BadRow(row.line, f"has no words in the column {name!r}")
  for number, word in enumerate(words):
    if not isinstance(word, str) or not word.strip():
      what = "no text" if isinstance(word, str) else describe_json(word)
      return BadRow(
        row.line, f"has {what} as word {number} of {name!r}; give a string"
      )
  return tuple(word.strip() for word in words)


def _list(row: Row, name: str) -> list[Any] | BadRow:
  if name not in row.fields:
    return BadRow(
      row.line, f"has no column {name!r}; it has {listed(tuple(row.fields))}"
    )
  value = row.fields[name]
  if not isinstance(value, list):
    return BadRow(
      row.line,
      f"has {describe_json(value)} as {name!r}; give a list of strings",
    )
  return value
