# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Texts of the model's own task: --calibration, read as launch.evaluate reads.

So a graph is scored on every kind of task, and texts that are longer than the
model are read as they were trained to be.
"""

import dataclasses
import logging
import os
import pathlib

from bertjax.config import ComputeConfig, FinetuneConfig, TaskConfig
from bertjax.config.finetune import is_rows
from bertjax.finetune import checks, splits
from bertjax.finetune.artifact import FinetunedModel, find_task
from bertjax.finetune.task import Head
from bertjax.interop.architectures import CLASSIFICATION
from data_pipelines.tasks.table_files import Columns, Row, read_rows
from data_pipelines.tokenizers.tokenizer import Tokenizer
from launch import tasks
from launch.exports.calibration import Texts, read_texts
from launch.exports.formats import Options
from launch.exports.onnx_scores import Labeled
from launch.exports.trained import Trained
from launch.inference import stored_task
from launch.inference.stored_task import SPLITS, Asked
from launch.preflight.policy import Policy
from launch.preflight.settle import settle
from launch.preflight.task import judge_task

_MODEL = "the model"  # in messages
# Options, and the fields of `TaskConfig` with the same meaning.
_COLUMNS = {
  "text_column": "text",
  "text_pair_column": "text_pair",
  "label_column": "label",
}
# Kinds with files of their own form, and a suffix that such files never have.
_OTHER_FORMS = {"conll": "words with tags", "squad": "questions"}
_TABLE = ".csv"


def read(
  options: Options,
  trained: Trained,
  tokenizer: Tokenizer,
  longest: int,
  policy: Policy,
) -> Texts:
  """Read the file that `options.calibration` names, with labels if it has them.

  If the file has no labels, or the model does not record how they are read, a
  warning says so, and the texts alone are read.

  Args:
    options: the file and its columns.
    trained: the model.
    tokenizer: tokenizer of the model.
    longest: tokens to which a text is cut that is read alone.
    policy: limits of the checks of the texts, and which may fail.

  Raises:
    ValueError: the file cannot be read, is of another kind, has labels that the
      model does not have, or a check of its texts fails.
  """
  head = trained.head
  if head is None:
    _refuse_labels(options, "a pre-trained model has none")
    return read_texts(options, head, tokenizer, longest)
  head = dataclasses.replace(head, labels=tuple(head.labels))
  own = stored_task.read_config(trained.details.config)
  if why := _why_alone(options, head, own):
    logging.warning(
      "what the scores of %s lose is not measured: %s", head.name, why
    )
    return read_texts(_with_columns(options, own), head, tokenizer, longest)
  return _read_labeled(options, trained, head, own, policy)


def _refuse_labels(options: Options, why: str) -> None:
  if options.label_column is not None:
    raise ValueError(
      f"--label_column={options.label_column} names labels of texts, and "
      f"{why}; leave it out"
    )


def _why_alone(options: Options, head: Head, own: FinetuneConfig | None) -> str:
  """Return why texts are read without what is wanted of them, or ""."""
  path = options.calibration or ""
  kind = "" if own is None else own.task.kind
  if kind != "table" and head.architecture != CLASSIFICATION:
    form = _OTHER_FORMS.get(kind)
    _refuse_labels(
      options, f"{_MODEL} reads {f'files of {form}' if form else 'no tables'}"
    )
    if not form:
      return f"{_MODEL} does not say how its data were read"
    assert own is not None
    given = options.text_column or options.text_pair_column
    if given or not _is_of_form(path, own.task):
      return f"{path} is a table of texts; give a file as for fine-tuning"
    return ""
  if options.label_column is not None:
    return ""
  if own is None or kind != "table":
    return "give the column of labels as --label_column"
  if not _is_labeled(path, own.task):
    return (
      f"{path} has no column {own.task.label!r}; give the column of labels as "
      "--label_column"
    )
  return ""


def _is_of_form(path: str, task: TaskConfig) -> bool:
  """Return whether a file has tags of words, or answers to questions."""
  if not is_rows(path):
    return pathlib.Path(path).suffix.lower() != _TABLE
  wanted = task.tags if task.kind == "conll" else "answers"
  return _has_column(path, Columns(label=wanted))


def _is_labeled(path: str, task: TaskConfig) -> bool:
  """Return whether a table has the column of labels of a task."""
  header = tuple(task.header.split(",")) if task.header else ()
  return _has_column(
    path, Columns(task.text, task.label, task.text_pair, header)
  )


def _has_column(path: str, columns: Columns) -> bool:
  """Return whether a table has the column of labels; bad rows are not told."""
  row = next(read_rows(path, columns, ()), None)
  return not isinstance(row, Row) or columns.label in row.fields


def _with_columns(options: Options, own: FinetuneConfig | None) -> Options:
  """Return options with the columns of fine-tuning where none are given."""
  if own is None or own.task.kind != "table" or own.task.target == "choice":
    return options
  return dataclasses.replace(
    options,
    text_column=options.text_column or own.task.text,
    text_pair_column=options.text_pair_column or own.task.text_pair or None,
  )


def _read_labeled(
  options: Options,
  trained: Trained,
  head: Head,
  own: FinetuneConfig | None,
  policy: Policy,
) -> Texts:
  task = find_task(_MODEL, head, tasks.TASKS)
  module = task.make_model(
    trained.model,
    ComputeConfig(),
    num_labels=len(head.labels),
    pooling=head.pooling,
  )
  model = FinetunedModel(
    task, head, module, trained.params, trained.tokenizer_path
  )
  config = _config(options, trained, model, own)
  data, _ = tasks.load_data(
    config, trained.model, trained.tokenizer_path, head.labels
  )
  stored_task.check_data(_MODEL, model, data)
  settle(
    judge_task(
      data.figures, config.seq_length, trained.details.tokens_per_word, policy
    ),
    policy,
  )
  (name,) = data.splits
  split = data.splits[name]
  batches = list(split.evaluation(config.evaluation_batch_size))
  settings = {**data.settings, **head.settings}
  _, windows = splits.find_windows(split, batches, data.labels, settings)
  labeled = Labeled(task, config.metric, windows)
  cut = data.figures.splits[name].cut
  return Texts(labeled.rows(), len(split), cut, labeled)


def _config(
  options: Options,
  trained: Trained,
  model: FinetunedModel,
  own: FinetuneConfig | None,
) -> FinetuneConfig:
  """Return how launch.evaluate would read the file as --split."""
  path = options.calibration or ""
  if not stored_task.is_source(path):
    raise ValueError(
      f"--calibration={path} is not a file; give the path of one"
    )
  if path in SPLITS:  # a file of that name
    path = os.path.join(".", path)
  changes = {
    f"task.{field}": getattr(options, name)
    for name, field in _COLUMNS.items()
    if getattr(options, name) is not None
  }
  has_files = own is not None and own.task.kind in ("table", *_OTHER_FORMS)
  asked = Asked("" if has_files else "table", changes, path)
  config = stored_task.make_config(_MODEL, model, trained.details.config, asked)
  _check_pairs(config.task, model.head)
  config = stored_task.with_head(config, model.head)
  config = dataclasses.replace(
    config,
    pack=False,
    # They are counted, and many of them are a failure.
    task=dataclasses.replace(config.task, skip_bad_rows=True),
  )
  return checks.with_metric(config, model.task)


def _check_pairs(task: TaskConfig, head: Head) -> None:
  if task.kind != "table" or task.target == "choice":
    return
  if head.pair != bool(task.text_pair):
    raise ValueError(
      f"{_MODEL} reads {'pairs of ' if head.pair else 'single '}texts; "
      f"{'give' if head.pair else 'leave out'} --text_pair_column"
    )
