# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A classification task from one, two or three labeled tables."""

import pathlib
import re

import numpy as np

from bertjax.config import TaskConfig
from data_pipelines.tasks.classification import (
  Classification,
  LabeledTexts,
  hold_out,
  make_reader,
)
from data_pipelines.tasks.tables import Columns, Table, listed, read_table


def load_task(config: TaskConfig) -> Classification:
  """Read the tables of a task, and hold out the splits that have no table.

  The classes are the labels of the training table, sorted as numbers where
  all of them are integers, else as strings.

  Raises:
    ValueError: as `read_table`; the training table has a single label; dev or
      test has a label that the training table lacks; no label has enough rows
      to hold some out.
  """
  columns = Columns(
    config.text,
    config.label,
    config.text_pair,
    tuple(config.header.split(",")) if config.header else (),
  )
  if not config.train:
    raise ValueError("task.train is empty; give the path of the training table")
  table = read_table(config.train, columns)
  names = _sorted_labels(table.labels)
  if len(names) < 2:
    raise ValueError(
      f"{config.train} has only the label {listed(names)}; give a table with "
      "two or more"
    )
  train = _label(table, names, config.train)
  splits = {}
  # One seed for both would hold out the same ranks. Test is held out first.
  for offset, split in enumerate(("test", "dev")):
    path, rate = (
      (config.test, config.test_rate)
      if split == "test"
      else (config.dev, config.dev_rate)
    )
    if path:
      splits[split] = _label(read_table(path, columns), names, config.train)
      continue
    kept, held = hold_out(train.labels_N, rate, config.seed + offset)
    if not len(held):
      raise ValueError(
        f"no label of {config.train} has two rows, so no {split} rows can be "
        f"held out; give task.{split}"
      )
    splits[split], train = train.take(held), train.take(kept)
  return Classification(
    pathlib.Path(config.train).stem, names, train, splits["dev"], splits["test"]
  )


def _sorted_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
  found = set(labels)
  if all(re.fullmatch(r"-?\d+", label) for label in found):
    return tuple(sorted(found, key=lambda label: (int(label), label)))
  return tuple(sorted(found))


def _label(table: Table, names: tuple[str, ...], source: str) -> LabeledTexts:
  ids = {name: index for index, name in enumerate(names)}
  for line, label in zip(table.lines, table.labels, strict=True):
    if label not in ids:
      raise ValueError(
        f"{table.path}:{line}: label {label!r} is not in {source}, which has "
        f"{listed(names)}"
      )
  return LabeledTexts(
    table.texts,
    table.pairs,
    np.asarray([ids[label] for label in table.labels], np.int32),
  )


read = make_reader(load_task)
