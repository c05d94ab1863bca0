# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Labeled tables: texts and labels by column name, and rows left out."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bertjax.files import describe_json
from data_pipelines.tasks.table_files import (
  BadRow,
  Columns,
  Row,
  listed,
  read_rows,
)

# Lowest and highest score where a task names none: those of float32.
ANY_SCORE = (-3.4e38, 3.4e38)


@dataclasses.dataclass(frozen=True)
class Rules:
  """How a table's rows are read.

  Attributes:
    unlabeled: the label of rows that have no label, beside the empty one.
    skip_bad_rows: whether a row that cannot be used is left out and counted,
      or is an error.
    needs_labels: whether every row needs a label. Otherwise all of them may
      lack one.
    labels: the labels that there are; () knows them from the rows alone.
    scores: the lowest and the highest label, where labels are numbers.
    undecided: the label of rows whose annotators do not agree. They are left
      out and counted in any case, except where it is "".
    separator: what divides the labels of a row, which may have none; "" where
      a row has one label. JSON and parquet may have a list of them.
    bad_row_fix: what the user can do about bad rows, for messages.
    score_fix: what the user can do about a label that is no number, where any
      score is allowed.
  """

  unlabeled: str = "-1"
  skip_bad_rows: bool = False
  needs_labels: bool = True
  labels: tuple[str, ...] = ()
  scores: tuple[float, float] | None = None
  undecided: str = ""
  separator: str = ""
  bad_row_fix: str = "to leave out such rows, give --config.task.skip_bad_rows"
  score_fix: str = "give a number, or --config.task.target=label for classes"


@dataclasses.dataclass(frozen=True)
class Table:
  """The wanted columns of one file.

  Attributes:
    path: path of the file.
    texts: the text of each row.
    pairs: the second text of each row, or None for single texts.
    labels: the label of each row, without white space around it; None where
      no row of the file has a label.
    lines: the line where each row begins.
    skipped: what was wrong with each row that was left out, with its line.
    stripped_labels: number of labels with white space around them.
  """

  path: str
  texts: tuple[str, ...]
  pairs: tuple[str, ...] | None
  labels: tuple[str, ...] | None
  lines: tuple[int, ...]
  skipped: tuple[str, ...] = ()
  stripped_labels: int = 0

  def take(self, rows: Sequence[int]) -> "Table":
    """Return a table of the rows at `rows`, which has none left out."""
    return dataclasses.replace(
      self,
      texts=tuple(self.texts[row] for row in rows),
      pairs=self.pairs and tuple(self.pairs[row] for row in rows),
      labels=self.labels and tuple(self.labels[row] for row in rows),
      lines=tuple(self.lines[row] for row in rows),
      skipped=(),
      stripped_labels=0,
    )


class _Example(NamedTuple):
  line: int
  texts: tuple[str, ...]
  label: str
  is_stripped: bool  # whether the label had white space around it


def check_columns(columns: Columns, wanted: Sequence[str]) -> None:
  """Refuse a column that would be read as two things.

  Args:
    columns: names of the columns.
    wanted: those that are read.

  Raises:
    ValueError: two of `wanted` are the same.
  """
  roles = [
    ("text", columns.text),
    ("text_pair", columns.text_pair),
    ("label", columns.label),
    *(("others", name) for name in columns.others),
  ]
  for name in wanted:
    if wanted.count(name) > 1:
      named = [
        columns.flags.get(role, role) for role, of in roles if of == name
      ]
      raise ValueError(
        f"the column {name!r} is given twice, by "
        f"{' and '.join(dict.fromkeys(named))}; give another one"
      )


def read_table(
  path: str, columns: Columns, rules: Rules | None = None
) -> Table:
  """Read the named columns of a table; see `table_files` for the formats.

  Labels lose the white space around them. A row is bad if it has other columns
  than the file, an empty text, a text that is no string, or no label.

  Args:
    path: path of the file.
    columns: names of the columns.
    rules: how rows are read; None is `Rules()`.

  Raises:
    ValueError: the file cannot be read or has no usable row, or a row is bad
      and is not to be skipped. The message is one line with the file, the line
      and the existing columns.
  """
  rules = rules or Rules()
  wanted = (*columns.texts, *((columns.label,) if rules.needs_labels else ()))
  check_columns(columns, wanted)
  examples, bad = [], []
  for row in read_rows(path, columns, wanted):
    read = _example(row, columns, rules) if isinstance(row, Row) else row
    (bad if isinstance(read, BadRow) else examples).append(read)
  none = {"", rules.unlabeled}
  has_labels = rules.needs_labels or any(e.label not in none for e in examples)
  if rules.separator:
    none.discard("")  # a text without a label
  left_out: list[_Example] = []
  if has_labels:
    bad += _unlabeled(examples, columns, none)
    examples = [e for e in examples if e.label not in none]
    if rules.undecided:
      left_out = [e for e in examples if e.label == rules.undecided]
      examples = [e for e in examples if e.label != rules.undecided]
    unknown = {e: w for e in examples if (w := _wrong_label(e.label, rules))}
    bad += [BadRow(example.line, wrong) for example, wrong in unknown.items()]
    examples = [e for e in examples if e not in unknown]
  bad.sort()
  _check(path, bad, rules, len(examples))
  bad += [
    BadRow(
      each.line, f"has the label {rules.undecided!r}, which decides nothing"
    )
    for each in left_out
  ]
  bad.sort()
  return Table(
    path,
    tuple(example.texts[0] for example in examples),
    tuple(e.texts[1] for e in examples) if columns.text_pair else None,
    tuple(e.label for e in examples) if has_labels else None,
    tuple(example.line for example in examples),
    tuple(f"{path}:{line} {wrong}" for line, wrong in bad),
    sum(example.is_stripped for example in examples),
  )


def _check(path: str, bad: list[BadRow], rules: Rules, usable: int) -> None:
  first = f"{path}:{bad[0].line} {bad[0].wrong}" if bad else ""
  if bad and not rules.skip_bad_rows:
    more = f" ({len(bad):,} rows are bad in all)" if len(bad) > 1 else ""
    raise ValueError(f"{first}{more}; {rules.bad_row_fix}")
  if not usable:
    few = f" that can be used; {first}" if bad else ""
    raise ValueError(
      f"{path} has no rows{few}; give a table with labeled texts"
    )


def _example(row: Row, columns: Columns, rules: Rules) -> _Example | BadRow:
  labels = (columns.label,) if rules.needs_labels else ()
  for name in (*columns.texts, *labels):
    if name not in row.fields:
      return BadRow(row.line, columns.lacking(name, tuple(row.fields)))
  for name in columns.texts:
    text = row.fields[name]
    if not isinstance(text, str):
      return BadRow(
        row.line, f"has {describe_json(text)} as {name!r}; give a string"
      )
    if not text.strip():
      return BadRow(
        row.line, f"has no text in the column {name!r}; give one, or delete it"
      )
  texts = tuple(row.fields[name] for name in columns.texts)
  label = row.fields.get(columns.label)
  if rules.separator and isinstance(label, list):
    label = _joined(label, rules.separator)
  # JSON may have a number or a boolean, and null for none.
  if not isinstance(label, str | int | float | None):
    several = isinstance(label, list) and not (rules.labels or rules.scores)
    hint = ", or --config.task.target=labels for several" if several else ""
    return BadRow(
      row.line,
      f"has {describe_json(label)} as {columns.label!r}; give a string or a "
      f"number{hint}",
    )
  # A table of pandas has NaN for none.
  label = "" if label is None or label != label else str(label)
  return _Example(row.line, texts, label.strip(), label != label.strip())


def _joined(labels: list[Any], separator: str) -> Any:
  """Return a list of labels as a table has them; itself if it cannot be."""
  names = [str(label) for label in labels]
  if not all(isinstance(label, str | int) for label in labels):
    return labels
  return labels if any(separator in n for n in names) else separator.join(names)


def _wrong_label(label: str, rules: Rules) -> str:
  """Return what is wrong with a label, or ""."""
  if rules.labels and label not in rules.labels:
    return f"has the label {label!r}; give one of {listed(rules.labels)}"
  if rules.scores:
    low, high = rules.scores
    wanted = f"give a number from {low:g} to {high:g}"
    if rules.scores == ANY_SCORE:
      wanted = rules.score_fix
    try:
      inside = low <= float(label) <= high
    except ValueError:
      return f"has the label {label!r}; {wanted}"
    if not inside:  # nor is NaN
      return f"has the score {label}; {wanted}"
  return ""


def _unlabeled(
  examples: list[_Example], columns: Columns, none: set[str]
) -> Iterator[BadRow]:
  for example in examples:
    if "" in none and not example.label:
      yield BadRow(
        example.line,
        f"is empty in the label column {columns.label!r}; label that row or "
        "delete it",
      )
    elif example.label in none:
      yield BadRow(
        example.line,
        f"has the label {example.label}, which stands for no label; delete "
        "that row, or, if it is a class, give --config.task.unlabeled=''",
      )
