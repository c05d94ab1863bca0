# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Multiple choice from one, two or three tables, as SWAG's.

A row has a context, its choices in columns of their own or in one list, and
which of them is right: its number from 0, or the name of its column.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bertjax.config import TaskConfig
from data_pipelines.tasks.batches import MeasuredData, RowOptions, TaskBatches
from data_pipelines.tasks.choice_rows import (
  choice_names,
  encode_choices,
  given_choices,
  join_start,
  list_choices,
  make_targets,
  most_together,
)
from data_pipelines.tasks.features import Tokenizer
from data_pipelines.tasks.figures import SplitFigures, TableFigures, TaskFigures
from data_pipelines.tasks.sliding import pooling_settings
from data_pipelines.tasks.splits import (
  count_shared,
  data_name,
  hold_out,
  text_keys,
)
from data_pipelines.tasks.table_files import BadRow, Columns, Row, read_rows
from data_pipelines.tasks.tables import check_columns

_FLAG = "--config.task.skip_bad_rows"


class Question(NamedTuple):
  """An example.

  Attributes:
    context: the text that all choices go with.
    choices: the choices.
    right: number of the right one; −1 where none is given.
  """

  context: str
  choices: tuple[str, ...]
  right: int


@dataclasses.dataclass(frozen=True)
class Questions:
  """The questions of a table, and what was wrong with the other rows.

  Attributes:
    questions: the questions.
    skipped: what was wrong with each other row.
    places: path and line of each question.
  """

  questions: tuple[Question, ...]
  skipped: tuple[str, ...] = ()
  places: tuple[str, ...] = ()

  def take(self, indices: Sequence[int] | np.ndarray) -> "Questions":
    """Return the questions at `indices`."""
    return Questions(
      tuple(self.questions[int(i)] for i in indices),
      places=tuple(self.places[int(i)] for i in indices),
    )


def read_questions(
  path: str, config: TaskConfig, *, needs_labels: bool = True
) -> Questions:
  """Read the questions of a table.

  An empty cell is a choice that the row lacks.

  Args:
    path: path of the file.
    config: names of the columns.
    needs_labels: whether every row needs a right choice, or all may lack one.

  Raises:
    ValueError: the file cannot be read or has no usable row; a row is bad and
      is not to be skipped; there are more choices than configured.
  """
  names = choice_names(config)
  columns = Columns(
    config.text,
    config.label,
    config.text_pair,
    tuple(config.header.split(",")) if config.header else (),
    others=names,
    flags={
      "others": "task.choices",
      **{name: f"task.{name}" for name in ("text", "label", "text_pair")},
    },
  )
  labels = (config.label,) if needs_labels else ()
  wanted = (*columns.texts, *names, *labels)
  check_columns(columns, wanted)
  found: list[tuple[int, Question]] = []
  bad: list[BadRow] = []
  for row in read_rows(path, columns, wanted):
    read = _question(row, config, names) if isinstance(row, Row) else row
    if isinstance(read, BadRow):
      bad.append(read)
    else:
      found.append((row.line, read))
  if needs_labels or any(question.right >= 0 for _, question in found):
    bad += [
      BadRow(line, f"has no right choice in the column {config.label!r}")
      for line, question in found
      if question.right < 0
    ]
    found = [each for each in found if each[1].right >= 0]
  bad.sort()
  if bad and not config.skip_bad_rows:
    more = f" ({len(bad):,} rows are bad in all)" if len(bad) > 1 else ""
    raise ValueError(
      f"{path}:{bad[0].line} {bad[0].wrong}{more}; to leave out such rows, "
      f"give {_FLAG}"
    )
  if not found:
    raise ValueError(f"{path} has no usable row; give a table with choices")
  return Questions(
    tuple(question for _, question in found),
    tuple(f"{path}:{line} {wrong}" for line, wrong in bad),
    tuple(f"{path}:{line}" for line, _ in found),
  )


def read(
  config: TaskConfig, tokenizer: Tokenizer, rows: RowOptions
) -> MeasuredData:
  """Read the tables of a task, and hold out the splits that have no table.

  Raises:
    ValueError: as `read_questions`; too few rows to hold some out; a training
      example has more windows than a row.
  """
  is_alone = rows.labels is not None
  if not config.train and not is_alone:
    raise ValueError("task.train is empty; give the path of the training table")
  paths = {"train": config.train, "dev": config.dev, "test": config.test}
  if is_alone:
    paths = {"test": config.test}
  tables = {
    split: read_questions(
      path, config, needs_labels=is_alone or split != "test"
    )
    for split, path in paths.items()
    if path
  }
  made = tables if is_alone else dict(_splits(config, tables))
  splits = {name: made[name] for name in paths if name in made}
  encoded = {
    name: _encode(name, split, config, tokenizer, rows)
    for name, split in splits.items()
  }
  keys = _keys(splits["train"]) if "train" in splits else []
  return MeasuredData(
    name=data_name(config.train),
    labels=(),
    pair=True,
    splits={name: batches for name, (batches, _) in encoded.items()},
    settings=pooling_settings(config),
    figures=TaskFigures(
      labels=(),
      alike_labels=(),
      numeric_labels=0,
      table=_table_figures(config, tables, is_scored="test" in splits),
      splits={
        name: dataclasses.replace(
          figures,
          shared=0
          if name == "train"
          else count_shared(_keys(splits[name]), keys),
        )
        for name, (_, figures) in encoded.items()
      },
    ),
  )


def _table_figures(
  config: TaskConfig, tables: dict[str, Questions], *, is_scored: bool
) -> TableFigures:
  unscored = "task.test_rate is 0"
  if config.test:
    unscored = f"{config.test} has no right choices"
  return TableFigures(
    rows=sum(len(t.questions) + len(t.skipped) for t in tables.values()),
    skipped=tuple(line for t in tables.values() for line in t.skipped),
    unscored_test="" if is_scored else unscored,
  )


def _splits(
  config: TaskConfig, tables: dict[str, Questions]
) -> Iterator[tuple[str, Questions]]:
  train = tables["train"]
  # One seed for both would hold out the same ranks. Test is held out first.
  for offset, split in enumerate(("test", "dev")):
    rate = config.test_rate if split == "test" else config.dev_rate
    if split in tables:
      if tables[split].questions[0].right >= 0:
        yield split, tables[split]
    elif rate:
      kept, held = hold_out(
        np.zeros(len(train.questions), np.int64),
        _keys(train),
        rate,
        config.seed + offset,
      )
      if not len(held):
        raise ValueError(
          f"{config.train} has too few rows to hold out {split} rows; give "
          f"task.{split}"
        )
      yield split, train.take(held)
      train = train.take(kept)
  yield "train", train


def _keys(questions: Questions) -> list[Any]:
  return text_keys(
    [" ".join((q.context, *q.choices)) for q in questions.questions], None
  )


def _encode(
  name: str,
  split: Questions,
  config: TaskConfig,
  tokenizer: Tokenizer,
  rows: RowOptions,
) -> tuple[TaskBatches, SplitFigures]:
  questions = split.questions
  stride = int(pooling_settings(config).get("stride", 0))
  encoded = encode_choices(
    tokenizer,
    [each.context for each in questions],
    [each.choices for each in questions],
    rows.seq_length,
    stride,
  )
  batches = TaskBatches(
    encoded.features,
    make_targets(encoded, [each.right for each in questions]),
    owners_N=encoded.owner_N,
    examples=questions,
    pack=rows.pack,
    together=most_together(
      encoded.owner_N,
      config.num_choices,
      # Other splits are pooled after all of their outputs are known.
      split.places if name == "train" else (),
    ),
  )
  return batches, SplitFigures(
    examples=len(questions),
    cut=encoded.cut,
    empty=encoded.empty,
    shared=0,
    contradicting=0,
    tokens=encoded.tokens,
    unknown=encoded.unknown,
    words=encoded.words,
    by_class=(),
    windows=len(encoded.owner_N) if stride else 0,
  )


def _question(
  row: Row, config: TaskConfig, names: tuple[str, ...]
) -> Question | BadRow:
  given_texts = (name for name in (config.text, config.text_pair) if name)
  texts = list_choices(row, tuple(given_texts))
  choices = list_choices(row, names)
  if isinstance(texts, BadRow):
    return texts
  if isinstance(choices, BadRow):
    return choices
  context, start = (*texts, "")[:2]
  if not context.strip():
    return BadRow(row.line, f"has no text in the column {config.text!r}")
  if len(choices) > config.num_choices:
    return BadRow(
      row.line,
      f"has {len(choices)} choices, and task.num_choices is "
      f"{config.num_choices}; give --config.task.num_choices={len(choices)}",
    )
  given = given_choices(choices)
  if len(given) < 2:
    return BadRow(row.line, f"has {len(given)} choices; give two or more")
  label = row.fields.get(config.label)
  right = _right(str("" if label is None else label).strip(), names, config)
  if right is not None and right not in (-1, *given):
    return BadRow(row.line, f"has the right choice {label}, which is empty")
  if right is None:
    return BadRow(
      row.line,
      f"has {label!r} in the column {config.label!r}; give the number of the "
      f"right choice, 0 to {len(choices) - 1}, or the name of its column",
    )
  return Question(
    context,
    join_start(start, [choices[number] for number in given]),
    right if right < 0 else given.index(right),
  )


def _right(
  label: str, names: tuple[str, ...], config: TaskConfig
) -> int | None:
  """Return the number of the right choice, −1 for none, None if it is bad."""
  if label in {"", config.unlabeled}:
    return -1
  if label in names and len(names) > 1:
    return names.index(label)
  most = len(names) if len(names) > 1 else config.num_choices
  return int(label) if label.isdecimal() and int(label) < most else None
