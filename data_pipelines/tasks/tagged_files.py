# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a task of tagged words: columns of CoNLL, or rows."""

from bertjax.config import TaskConfig
from bertjax.config.finetune import is_rows
from data_pipelines.tasks import conll, tagged_rows
from data_pipelines.tasks.file_splits import (
  ExampleFile,
  Splits,
  leave_out,
  load_splits,
)
from data_pipelines.tasks.sentences import Sentence, text_key, unknown_tag


def read_file(path: str, config: TaskConfig) -> ExampleFile[Sentence]:
  """Read the sentences of a file, whose name says what form it has.

  Args:
    path: path of the file, or name of a data set.
    config: names the columns.

  Raises:
    ValueError: as `conll.read_file` and `tagged_rows.read_file`.
  """
  if is_rows(path):
    return tagged_rows.read_file(
      path, config.words, config.tags, config.skip_bad_rows
    )
  columns = conll.Columns(config.word_column, config.tag_column)
  return conll.read_file(path, columns, config.skip_bad_rows)


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
  loaded = load_splits(
    config,
    lambda path: read_file(path, config),
    text_key,
    alone=labels is not None,
  )
  train = loaded.examples.get("train", ())
  found = labels or tuple(sorted({tag for s in train for tag in s.tags}))
  if config.skip_bad_rows:
    loaded = leave_out(loaded, lambda s: unknown_tag(s, found))
  return loaded, found
