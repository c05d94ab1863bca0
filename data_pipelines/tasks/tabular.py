# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A task of labeled texts from one, two or three tables."""

import pathlib

from bertjax.config import TaskConfig
from data_pipelines.tasks.classification import (
  Classification,
  LabeledTexts,
  make_reader,
)
from data_pipelines.tasks.figures import TableFigures
from data_pipelines.tasks.splits import hold_out, text_keys
from data_pipelines.tasks.table_files import Columns
from data_pipelines.tasks.tables import Rules, Table, read_table
from data_pipelines.tasks.targets import Target, find_target, strata


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
  table = tables["train"]
  names = target.names(table)
  train = _label(table, target, names, config.train)
  splits: dict[str, LabeledTexts | None] = {}
  # One seed for both would hold out the same ranks. Test is held out first.
  for offset, split in enumerate(("test", "dev")):
    rate = config.test_rate if split == "test" else config.dev_rate
    if split in tables:
      labeled = tables[split].labels is not None
      splits[split] = (
        _label(tables[split], target, names, config.train) if labeled else None
      )
    elif not rate:
      splits[split] = None
    else:
      kept, held = hold_out(
        strata(train.labels_N),
        text_keys(train.texts, train.pairs),
        rate,
        config.seed + offset,
      )
      if not len(held):
        raise ValueError(
          f"no label of {config.train} has two rows of other texts, so no "
          f"{split} rows can be held out; give task.{split}"
        )
      splits[split], train = train.take(held), train.take(kept)
  dev = splits["dev"]
  assert dev is not None
  return Classification(
    pathlib.Path(config.train).stem,
    names,
    train,
    dev,
    splits["test"],
    _figures(config, tables),
  )


def _read_tables(config: TaskConfig, target: Target) -> dict[str, Table]:
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
      Rules(
        config.unlabeled, config.skip_bad_rows, split != "test", **target.rules
      ),
    )
    for split, path in paths.items()
    if path
  }


def _figures(config: TaskConfig, tables: dict[str, Table]) -> TableFigures:
  unscored = ""
  if "test" not in tables and not config.test_rate:
    unscored = "task.test_rate is 0"
  elif "test" in tables and tables["test"].labels is None:
    unscored = f"{config.test} has no labels"
  each = tables.values()
  return TableFigures(
    rows=sum(len(table.texts) + len(table.skipped) for table in each),
    skipped=tuple(line for table in each for line in table.skipped),
    stripped_labels=sum(table.stripped_labels for table in each),
    unscored_test=unscored,
  )


def _label(
  table: Table, target: Target, names: tuple[str, ...], source: str
) -> LabeledTexts:
  return LabeledTexts(
    table.texts, table.pairs, target.values(table, names, source)
  )


read = make_reader(load_task)
