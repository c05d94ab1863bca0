# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A task of labeled texts from one, two or three tables."""

from bertjax.config import TaskConfig
from data_pipelines.tasks.classification import Classification, make_reader
from data_pipelines.tasks.labeled_tables import HeldOut, make_data
from data_pipelines.tasks.splits import data_name
from data_pipelines.tasks.table_files import Columns
from data_pipelines.tasks.tables import Rules, Table, read_table
from data_pipelines.tasks.targets import Target, find_target


def load_task(config: TaskConfig) -> Classification:
  """Read the tables of a task, and hold out the splits that have no table.

  The classes are the labels of the training table, sorted as numbers where
  all of them are integers, else as strings; `targets` knows of other columns.
  All copies of a text are on one side of a split that is held out.

  Raises:
    ValueError: as `read_table`; the training table has a single label; dev or
      test has a label that the training table lacks; no label has enough
      texts to hold some out.
  """
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
  )


def _read_tables(config: TaskConfig, target: Target) -> dict[str, Table]:
  unlabeled = config.unlabeled
  if config.target == "score" and unlabeled == TaskConfig.unlabeled:
    # What stands for no class by default is a number like any other.
    unlabeled = ""
  columns = Columns(
    config.text,
    config.label,
    config.text_pair,
    tuple(config.header.split(",")) if config.header else (),
  )
  paths = {"train": config.train, "dev": config.dev, "test": config.test}
  return {
    split: read_table(
      path,
      columns,
      Rules(unlabeled, config.skip_bad_rows, split != "test", **target.rules),
    )
    for split, path in paths.items()
    if path
  }


read = make_reader(load_task)
