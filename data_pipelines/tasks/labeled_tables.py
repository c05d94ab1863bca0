# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""From the tables of a task to labeled texts, with splits that are held out."""

from collections.abc import Mapping
from typing import NamedTuple

from data_pipelines.tasks.classification import Classification, LabeledTexts
from data_pipelines.tasks.figures import TableFigures, are_numbers
from data_pipelines.tasks.splits import hold_out, text_keys
from data_pipelines.tasks.table_files import listed
from data_pipelines.tasks.tables import Table
from data_pipelines.tasks.targets import (
  MODEL,
  Target,
  leave_out_unknown,
  strata,
)


class HeldOut(NamedTuple):
  """How splits without a table are held out of train.

  Attributes:
    test_rate: share of the texts of each label; 0 makes no test split.
    dev_rate: share of the texts of each label.
    seed: seed of the choice.
  """

  test_rate: float
  dev_rate: float
  seed: int


def make_data(
  name: str,
  tables: Mapping[str, Table],
  target: Target,
  held_out: HeldOut,
  unscored: str,
  *,
  skip_bad_rows: bool = False,
) -> Classification:
  """Return the labeled texts of tables.

  All copies of a text are on one side of a split that is held out.

  Args:
    name: name of the data.
    tables: "train", and "dev" and "test" where there are tables of them.
    target: how labels are read.
    held_out: how the other splits are made.
    unscored: why there is no test split, if there is no table of it.
    skip_bad_rows: whether rows of dev and test with a label that the training
      table lacks are left out and counted; otherwise the first is an error.

  Raises:
    ValueError: the training table has a single label; dev or test has a label
      that the training table lacks; no label has enough texts to hold some out.
  """
  source = tables["train"]
  names = target.names(source)
  if skip_bad_rows:
    tables = _leave_out(tables, target, names)
  train = _label(source, target, names, source.path)
  splits: dict[str, LabeledTexts | None] = {}
  # One seed for both would hold out the same ranks. Test is held out first.
  for offset, split in enumerate(("test", "dev")):
    rate = held_out.test_rate if split == "test" else held_out.dev_rate
    if split in tables:
      labeled = tables[split].labels is not None
      splits[split] = (
        _label(tables[split], target, names, source.path) if labeled else None
      )
    elif not rate:
      splits[split] = None
    else:
      kept, held = hold_out(
        strata(train.labels_N),
        text_keys(train.texts, train.pairs),
        rate,
        held_out.seed + offset,
      )
      if not len(held):
        several = train.labels_N.ndim > 1
        raise ValueError(_too_few(source, names, split, several=several))
      splits[split], train = train.take(held), train.take(kept)
  dev = splits["dev"]
  assert dev is not None
  figures = _figures(tables, "" if splits["test"] else unscored)
  return Classification(name, names, train, dev, splits["test"], figures)


def _too_few(
  table: Table, names: tuple[str, ...], split: str, *, several: bool
) -> str:
  """Return why no rows can be held out: each label has one text."""
  if are_numbers(names) and not several:
    return (
      f"the labels of {table.path} are numbers, and no two texts share one "
      f"({listed(names)}; {_first_label(table)}), so this looks like "
      "regression: give --config.task.target=score, or, if each number is a "
      f"class, --config.task.{split}"
    )
  return (
    f"no label of {table.path} has two rows of other texts, so no {split} rows "
    f"can be held out; give --config.task.{split}"
  )


def make_test(
  table: Table, target: Target, name: str, *, skip_bad_rows: bool = False
) -> Classification:
  """Return the labeled texts of a table that is only scored.

  Args:
    table: the table, all rows of which have labels.
    target: how labels are read; it names the classes.
    name: name of the data.
    skip_bad_rows: as of `make_data`.

  Raises:
    ValueError: a row has a label that the target does not name.
  """
  names = target.names(table)
  if skip_bad_rows:
    table = leave_out_unknown(table, target, names, MODEL)
  test = _label(table, target, names, MODEL)
  figures = _figures({"test": table}, "")
  return Classification(name, names, test, test, test, figures, alone=True)


def _leave_out(
  tables: Mapping[str, Table], target: Target, names: tuple[str, ...]
) -> dict[str, Table]:
  source = tables["train"].path
  return {
    split: leave_out_unknown(table, target, names, source)
    for split, table in tables.items()
  }


def _figures(tables: Mapping[str, Table], unscored: str) -> TableFigures:
  if "test" in tables and tables["test"].labels is None:
    unscored = f"{tables['test'].path} has no labels"
  each = tables.values()
  return TableFigures(
    rows=sum(len(table.texts) + len(table.skipped) for table in each),
    skipped=tuple(line for table in each for line in table.skipped),
    stripped_labels=sum(table.stripped_labels for table in each),
    unscored_test=unscored,
    first_label=_first_label(next(iter(each))),
  )


def _first_label(table: Table) -> str:
  if not table.labels:
    return ""
  return f"{table.path}:{table.lines[0]} has {table.labels[0]!r}"


def _label(
  table: Table, target: Target, names: tuple[str, ...], source: str
) -> LabeledTexts:
  return LabeledTexts(
    table.texts, table.pairs, target.values(table, names, source)
  )
