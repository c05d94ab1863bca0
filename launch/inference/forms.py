# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The files of data sets that are no plain tables, as predictions read them."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bertjax.checkpoints.bundle import Details
from bertjax.config import TaskConfig
from bertjax.config.finetune import is_rows
from bertjax.interop.architectures import (
  QUESTION_ANSWERING,
  TOKEN_CLASSIFICATION,
)
from data_pipelines.tasks import clinc_files, conll, squad, tagged_rows
from data_pipelines.tasks.glue_tasks import GLUE
from data_pipelines.tasks.table_files import (
  Columns,
  Row,
  read_lines,
  read_rows,
)
from data_pipelines.tasks.typed_rows import is_name
from launch.inference.inputs import STDIN, Form, Source
from launch.inference.stream import tell

TABLE = "table"
# Suffixes of files that may be tables as well.
_TABBED = (".tsv", ".txt")
# Forms whose files may be rows with columns.
_WORDS = "words"
_ROWS = frozenset({_WORDS, "squad"})


class _Asked(NamedTuple):
  """What decides how a file is read, beside its form.

  Attributes:
    source: the file.
    task: fields of the config that the model was fine-tuned with; empty if
      nobody knows it.
    words: the column of words, where a file has rows of them.
    split: name of a split; "" for the only one.
  """

  source: Source
  task: Mapping[str, Any]
  words: str
  split: str


def _words(asked: _Asked) -> Source:
  read = functools.partial(tagged_rows.read_words, column=asked.words)
  form = Form(f"{_WORDS}:{asked.words}", read, Columns(), words=True)
  return _with_form(asked.source, form)


def _tagged_lines(asked: _Asked) -> Source:
  column = int(asked.task.get("word_column", 0))
  read = functools.partial(conll.read_words, word_column=column)
  form = Form(f"conll:{column}", read, Columns(), words=True)
  return _with_form(asked.source, form)


def _questions(asked: _Asked) -> Source:
  columns = Columns("question", "", "context")
  form = Form("squad", squad.read_unanswered, columns, ids=True)
  return _with_form(asked.source, form)


def _intents(asked: _Asked) -> Source:
  split = asked.split or "test"
  read = functools.partial(clinc_files.read_texts, split=split)
  return _with_form(asked.source, Form(f"clinc150:{split}", read, Columns()))


def _with_form(source: Source, form: Form) -> Source:
  return dataclasses.replace(source, form=form, columns=form.columns)


def _glue(name: str, asked: _Asked) -> Source:
  task = GLUE[name]
  columns = Columns(
    task.text, "", task.text_pair, header=task.header, quotes=False
  )
  return dataclasses.replace(asked.source, columns=columns)


# By --format.
_FORMS: Mapping[str, Callable[[_Asked], Source]] = {
  TABLE: lambda asked: asked.source,
  "conll": _tagged_lines,
  _WORDS: _words,
  "squad": _questions,
  "clinc150": _intents,
  **{f"glue/{name}": functools.partial(_glue, name) for name in GLUE},
}
FORMATS = tuple(_FORMS)
# The architecture that a form is for; the others are for any texts.
_OF_FORM = {
  "conll": TOKEN_CLASSIFICATION,
  _WORDS: TOKEN_CLASSIFICATION,
  "squad": QUESTION_ANSWERING,
}


def fit(
  source: Source,
  details: Details,
  given: str | None,
  split: str | None,
  columns_flag: str,
) -> Source:
  """Return a source that is read as a model reads the files of its task.

  Args:
    source: where texts come from.
    details: what the model's bundle says of it.
    given: one of FORMATS; None goes by the file's name and the model.
    split: split of a file that has several; None is test.
    columns_flag: a flag that names columns, with which the file is a table; ""
      if none is given.

  Raises:
    ValueError: a flag has no effect, or the model does not read such files.
  """
  task = (details.config or {}).get("task", {}) if details.task else {}
  architecture = (details.task or {}).get("architecture", "")
  words = str(task.get("words", TaskConfig.words))
  names_words = columns_flag == "text_column" and not _has_more(source)
  if names_words:
    words = source.columns.text
  is_free = given in {None, TABLE} or (given == _WORDS and names_words)
  if columns_flag and not is_free:
    raise ValueError(
      f"--format={given} has columns of its own, and --{columns_flag} is "
      "given, too; give one of them"
    )
  name = given or _find(source, task, architecture, columns_flag, words)
  if split and name != "clinc150":
    raise ValueError(
      f"--split={split} is of files with several splits, and {source.path} is "
      f"read as --format={name}; leave --split out"
    )
  is_file = not source.is_stdin and not is_name(source.path)
  has_rows = name in _ROWS and is_rows(source.path)
  if name != TABLE and not is_file and not has_rows:
    raise ValueError(
      f"--format={name} reads files, and --input={source.path} is none; leave "
      "--format out"
    )
  if name == _WORDS and not has_rows:
    raise ValueError(
      f"--format={name} reads .jsonl, .parquet, tfds:NAME:SPLIT and hf:NAME:"
      f"SPLIT, and --input={source.path} is none; give --format=conll"
    )
  needed = _OF_FORM.get(name, architecture)
  if needed != architecture:
    raise ValueError(
      f"{source.path} is read as --format={name}, which is for a model of "
      f"{needed}, and this one is of {architecture or 'no task'}; give a table "
      "of texts, or another --bundle"
    )
  if name not in {given, TABLE}:
    tell(f"{source.path} is read as --format={name}")
  return _FORMS[name](_Asked(source, task, words, split or ""))


def _has_more(source: Source) -> bool:
  """Return whether columns beside the text are named."""
  return bool(source.columns.text_pair or source.columns.others)


def _find(
  source: Source,
  task: Mapping[str, Any],
  architecture: str,
  columns_flag: str,
  words: str,
) -> str:
  """Return how a file is read whose form nobody gives."""
  path = source.path
  suffix = pathlib.Path(path).suffix.lower()
  if is_rows(path) and architecture == TOKEN_CLASSIFICATION:
    first = {} if _has_more(source) else _first_row(path, words, "")
    return _WORDS if isinstance(first.get(words), list) else TABLE
  if path == STDIN or columns_flag or suffix == ".csv":
    return TABLE
  if is_rows(path):
    names = ("question", "context")
    asks = architecture == QUESTION_ANSWERING
    asks = asks and {*names} <= {*_first_row(path, *names)}
    return "squad" if asks else TABLE
  if suffix == ".conll":
    return "conll"
  if suffix in _TABBED and _is_table(source):
    return TABLE
  kind = task.get("kind")
  if architecture == TOKEN_CLASSIFICATION:
    return "conll"
  if suffix == ".json":
    if architecture == QUESTION_ANSWERING:
      return "squad"
    return "clinc150" if kind == "clinc150" else TABLE
  if suffix in _TABBED and kind == "glue":
    return f"glue/{task['name']}"
  return TABLE


def _first_row(path: str, text: str, text_pair: str) -> Mapping[str, Any]:
  """Return the first row that can be read; {} if a reader will refuse all."""
  try:
    rows = read_rows(path, Columns(text, "", text_pair), ())
    return next((row.fields for row in rows if isinstance(row, Row)), {})
  except ValueError:
    return {}


def _is_table(source: Source) -> bool:
  """Return whether a file that is divided by tabs names the columns."""
  first = next(read_lines(source.path), "").rstrip("\r\n").split("\t")
  names = {name.strip() for name in first}
  return {*source.columns.texts} <= names
