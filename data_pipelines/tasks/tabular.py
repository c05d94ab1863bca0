# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A task of labeled texts from one, two or three tables."""

import functools

from bertjax.config import TaskConfig
from data_pipelines.tasks.batches import MeasuredData, RowOptions
from data_pipelines.tasks.classification import Classification, make_reader
from data_pipelines.tasks.features import Tokenizer
from data_pipelines.tasks.labeled_tables import HeldOut, make_data, make_test
from data_pipelines.tasks.splits import data_name
from data_pipelines.tasks.table_files import Columns
from data_pipelines.tasks.tables import Rules, Table, read_table
from data_pipelines.tasks.targets import Target, find_target


def load_task(
  config: TaskConfig, labels: tuple[str, ...] | None = None
) -> Classification:
  """Read the tables of a task, and hold out the splits that have no table.

  The classes are the labels of the training table, sorted as numbers where
  all of them are integers, else as strings; `targets` knows of other columns.
  All copies of a text are on one side of a split that is held out.

  Args:
    config: names the tables and their columns.
    labels: as of `RowOptions`.

  Raises:
    ValueError: as `read_table`; the training table has a single label; dev or
      test has a label that the training table, or `labels`, lacks; no label has
      enough texts to hold some out.
  """
  if labels is not None:
    target = find_target(config, labels)
    table = _read_table(config, target, config.test, needs_labels=True)
    return make_test(
      table,
      target,
      data_name(config.test),
      skip_bad_rows=config.skip_bad_rows,
    )
  if not config.train:
    raise ValueError("task.train is empty; give the path of the training table")
  target = find_target(config)
  tables = _read_tables(config, target)
  return make_data(
    data_name(config.train),
    tables,
    target,
    HeldOut(config.test_rate, config.dev_rate, config.seed),
    "task.test_rate is 0",
    skip_bad_rows=config.skip_bad_rows,
  )


def read(
  config: TaskConfig, tokenizer: Tokenizer, rows: RowOptions
) -> MeasuredData:
  """Read the tables of a task; see `load_task`."""
  load = functools.partial(load_task, labels=rows.labels)
  return make_reader(load)(config, tokenizer, rows)


def _read_tables(config: TaskConfig, target: Target) -> dict[str, Table]:
  paths = {"train": config.train, "dev": config.dev, "test": config.test}
  return {
    split: _read_table(config, target, path, needs_labels=split != "test")
    for split, path in paths.items()
    if path
  }


def _read_table(
  config: TaskConfig, target: Target, path: str, *, needs_labels: bool
) -> Table:
  unlabeled = config.unlabeled
  if config.target == "score" and unlabeled == TaskConfig.unlabeled:
    # What stands for no class by default is a number like any other.
    unlabeled = ""
  columns = Columns(
    config.text,
    config.label,
    config.text_pair,
    tuple(config.header.split(",")) if config.header else (),
    flags={name: f"task.{name}" for name in ("text", "label", "text_pair")},
  )
  rules = Rules(unlabeled, config.skip_bad_rows, needs_labels, **target.rules)
  return read_table(path, columns, rules)
