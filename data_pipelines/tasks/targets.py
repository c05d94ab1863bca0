# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the label column of a table holds: a class, several, or a score.

`TaskConfig.target` names it. The values of the examples are int32, the number
of a class; or bool, one for each class; or float32, a score.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from bertjax.config import TaskConfig
from data_pipelines.tasks.figures import count_numeric
from data_pipelines.tasks.table_files import listed
from data_pipelines.tasks.tables import ANY_SCORE, Table

# What has named the classes where no training table is read.
MODEL = "the model"


@dataclasses.dataclass(frozen=True)
class Target:
  """How the labels of a table are read.

  Attributes:
    names: the training table → name of each class, or of the score. It raises
      a ValueError if there are too few.
    values: (table, names, path of the training table) → the value of each row.
      It raises a ValueError for a label that the training table lacks.
    rules: fields of `tables.Rules` for these labels.
    classes: a label of the table → the classes that it names; None for scores.
  """

  names: Callable[[Table], tuple[str, ...]]
  values: Callable[[Table, tuple[str, ...], str], np.ndarray]
  rules: Mapping[str, Any]
  classes: Callable[[str], list[str]] | None = None


def find_target(
  config: TaskConfig, labels: tuple[str, ...] | None = None
) -> Target:
  """Return the target of a config.

  Args:
    config: says what the column of labels holds.
    labels: names of the classes, or of the score; None for those of the
      training table.

  Raises:
    ValueError: the separator is empty.
  """
  if config.target == "score":
    return score_target((labels or (config.label,))[0], ANY_SCORE)
  if config.target == "labels":
    separator = config.separator
    if not separator:
      raise ValueError(
        "task.separator is empty; give what stands between two labels"
      )
    return Target(
      names=lambda table: labels or _names_of_several(table, separator),
      values=functools.partial(_several, separator=separator),
      rules={"separator": separator},
      classes=functools.partial(split_labels, separator=separator),
    )
  return class_target(labels or ())


def class_target(names: tuple[str, ...] = (), **rules: Any) -> Target:
  """Return the target of one class for each text.

  Args:
    names: names of the classes; none for the labels of the training table.
    rules: fields of `tables.Rules`.
  """
  if names:
    rules |= {"labels": names}
  return Target(
    names=(lambda _: names) if names else _names,
    values=_classes,
    rules=rules,
    classes=lambda label: [label],
  )


def score_target(
  name: str, scores: tuple[float, float], **rules: Any
) -> Target:
  """Return the target of a score for each text.

  Args:
    name: name of the score.
    scores: the lowest and the highest one.
    rules: other fields of `tables.Rules`.
  """
  return Target(
    names=lambda _: (name,), values=_scores, rules={"scores": scores, **rules}
  )


def leave_out_unknown(
  table: Table, target: Target, names: tuple[str, ...], source: str
) -> Table:
  """Return a table without the rows of other classes, which are counted.

  Args:
    table: the table.
    target: how its labels are read.
    names: names of the classes.
    source: what has named the classes, for messages.

  Raises:
    ValueError: no row is left.
  """
  if table.labels is None or target.classes is None:
    return table
  kept, wrong = [], []
  for row, label in enumerate(table.labels):
    new = [each for each in target.classes(label) if each not in names]
    if new:
      place = f"{table.path}:{table.lines[row]}"
      wrong.append(f"{place} has the label {new[0]!r}, which {source} lacks")
    else:
      kept.append(row)
  if not kept:
    raise ValueError(
      f"{table.path} has no rows that can be used; {wrong[0]}; give a table "
      f"whose labels {source} has"
    )
  if not wrong:
    return table
  return dataclasses.replace(
    table.take(kept),
    skipped=(*table.skipped, *wrong),
    stripped_labels=table.stripped_labels,
  )


def strata(values_N: np.ndarray) -> np.ndarray:
  """Return the group of each example, of which a share is held out.

  Classes are groups. An example of several labels is in the group of the
  rarest of them, so that rare labels are held out, too; examples without a
  label are one group more. Examples with scores are a single group.
  """
  if values_N.ndim == 2:
    rarest_C = np.argsort(values_N.sum(axis=0), kind="stable")
    first_N = values_N[:, rarest_C].argmax(axis=1)
    has_label_N = values_N.any(axis=1)
    return np.where(has_label_N, rarest_C[first_N], len(rarest_C))
  if np.issubdtype(values_N.dtype, np.floating):
    return np.zeros(len(values_N), np.int32)
  return values_N


def count_by_class(values_N: np.ndarray, num_classes: int) -> tuple[int, ...]:
  """Return the number of examples of each class; nothing for scores."""
  if values_N.ndim == 2:
    return tuple(values_N.sum(axis=0).tolist())
  if np.issubdtype(values_N.dtype, np.floating):
    return ()
  return tuple(np.bincount(values_N, minlength=num_classes).tolist())


def most_labels(values_N: np.ndarray) -> int | None:
  """Return the most labels of an example; None where each has one class."""
  return int(values_N.sum(axis=1).max()) if values_N.ndim == 2 else None


def sort_labels(labels: Iterable[str]) -> tuple[str, ...]:
  """Return each label once, sorted as numbers where all are integers."""
  found = set(labels)
  if all(re.fullmatch(r"-?\d+", label) for label in found):
    return tuple(sorted(found, key=lambda label: (int(label), label)))
  return tuple(sorted(found))


def split_labels(label: str, separator: str) -> list[str]:
  """Return the labels of a cell, without white space around them."""
  parts = (part.strip() for part in label.split(separator))
  return [part for part in parts if part]


def _names(table: Table) -> tuple[str, ...]:
  return _at_least_two(sort_labels(table.labels or ()), table, "")


def _names_of_several(table: Table, separator: str) -> tuple[str, ...]:
  names = sort_labels(
    each
    for label in table.labels or ()
    for each in split_labels(label, separator)
  )
  hint = f", read with --config.task.separator={separator!r}"
  return _at_least_two(names, table, hint)


def _at_least_two(
  names: tuple[str, ...], table: Table, hint: str
) -> tuple[str, ...]:
  if len(names) > 1:
    return names
  found = f"{table.path} has no label{hint}"
  if names:
    lines = [
      line
      for line, label in zip(table.lines, table.labels or (), strict=True)
      if label
    ]
    more = f" and {len(lines) - 1:,} more rows" if len(lines) > 1 else ""
    found = (
      f"{table.path} has only the label {names[0]}{hint}: at "
      f"{table.path}:{lines[0]}{more}"
    )
  raise ValueError(f"{found}; give a table with two labels or more")


def _classes(table: Table, names: tuple[str, ...], source: str) -> np.ndarray:
  ids = {name: index for index, name in enumerate(names)}
  labels = table.labels or ()
  for line, label in zip(table.lines, labels, strict=True):
    _check(label, ids, f"{table.path}:{line}", source)
  return np.asarray([ids[label] for label in labels], np.int32)


def _several(
  table: Table, names: tuple[str, ...], source: str, *, separator: str
) -> np.ndarray:
  ids = {name: index for index, name in enumerate(names)}
  labels = table.labels or ()
  values_NC = np.zeros((len(labels), len(names)), bool)
  for row, (line, label) in enumerate(zip(table.lines, labels, strict=True)):
    for each in split_labels(label, separator):
      _check(each, ids, f"{table.path}:{line}", source)
      values_NC[row, ids[each]] = True
  return values_NC


def _scores(table: Table, names: tuple[str, ...], source: str) -> np.ndarray:
  del names, source
  return np.asarray([float(label) for label in table.labels or ()], np.float32)


def _check(label: str, ids: Mapping[str, int], place: str, source: str) -> None:
  if label in ids:
    return
  fix = (
    f"correct it, add examples of it to {source}, or skip such rows with "
    "--config.task.skip_bad_rows"
  )
  if source == MODEL:
    fix = "correct it, or skip such rows with --config.task.skip_bad_rows"
  if count_numeric(ids):
    fix = (
      "these labels look like scores, not classes: give "
      "--config.task.target=score"
    )
  raise ValueError(
    f"{place}: label {label!r} is not in {source}, which has "
    f"{listed(tuple(ids))}; {fix}"
  )
