# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured of a task's data while it is read; nothing is judged here.

`launch.preflight` compares these figures with thresholds.
"""

import collections
import dataclasses
import re
from collections.abc import Iterable, Mapping

import numpy as np

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
# Fewer integers than this are classes, also where some are missing: 1 to 5
# stars, or months.
_MANY_INTEGERS = 30
# What may stand between several labels of a text.
_SEPARATORS = (",", ";", "|")


@dataclasses.dataclass(frozen=True)
class TableFigures:
  """What was found while the tables of a task were read.

  Attributes:
    rows: number of rows, with those that were left out.
    skipped: what was wrong with each row that was left out, with its place.
    stripped_labels: number of rows whose label had white space around it.
    unscored_test: why there is no test split; "" if there is one.
    unscored_fix: what the user can do; "" for what helps with tables.
    notes: what else to know of the splits.
    first_label: the place and the label of the first row; "" for none.
  """

  rows: int = 0
  skipped: tuple[str, ...] = ()
  stripped_labels: int = 0
  unscored_test: str = ""
  unscored_fix: str = ""
  notes: tuple[str, ...] = ()
  first_label: str = ""


@dataclasses.dataclass(frozen=True)
class ScoreFigures:
  """The scores that the examples of a split have.

  Attributes:
    distinct: number of different scores.
    least: the lowest one.
    most: the highest one.
  """

  distinct: int
  least: float
  most: float


@dataclasses.dataclass(frozen=True)
class SplitFigures:
  """What was counted in the examples of a split.

  Attributes:
    examples: number of examples.
    cut: examples that lost tokens, because they are longer than a row.
    empty: examples with a text that has no token.
    shared: examples whose text is also in train; 0 for train itself.
    contradicting: examples whose text has another label in this split.
    tokens: tokens of the texts before they are cut, without special ones.
    unknown: how many of them are the unknown token.
    words: how many of them begin a word.
    by_class: number of examples of each class; empty where examples have none.
      Where words have tags, it is the number of entities of each type, and of
      words outside.
    scores: the scores of the examples; None where they have none.
    most_labels: the most labels of an example; None where each has one class.
    windows: number of windows, where a long example has several; else 0.
    invalid_tags: entities whose first tag is one that goes on; None where words
      have no tags.
    cut_questions: questions that lost tokens, because they are too long; None
      where there are no questions.
    lost_answers: questions whose answer is not where the context should have
      it; None where there are no questions.
  """

  examples: int
  cut: int
  empty: int
  shared: int
  contradicting: int
  tokens: int
  unknown: int
  words: int
  by_class: tuple[int, ...]
  scores: ScoreFigures | None = None
  most_labels: int | None = None
  windows: int = 0
  invalid_tags: int | None = None
  cut_questions: int | None = None
  lost_answers: int | None = None


@dataclasses.dataclass(frozen=True)
class TaskFigures:
  """What was measured of a task's data.

  Attributes:
    labels: name of each class.
    alike_labels: groups of labels that differ by case or inner white space.
    numeric_labels: number of labels, if they look like measured numbers; else
      0.
    table: what was found while tables were read.
    splits: counts of each split.
    joined_labels: labels that are several of the others, joined.
  """

  labels: tuple[str, ...]
  alike_labels: tuple[tuple[str, ...], ...]
  numeric_labels: int
  table: TableFigures
  splits: Mapping[str, SplitFigures]
  joined_labels: tuple[str, ...] = ()

  @property
  def tokens_per_word(self) -> float:
    """Tokens per word of all splits."""
    tokens = sum(split.tokens for split in self.splits.values())
    return tokens / max(sum(s.words for s in self.splits.values()), 1)

  @property
  def unknown_rate(self) -> float:
    """Share of the tokens of all splits that are the unknown token."""
    unknown = sum(split.unknown for split in self.splits.values())
    return unknown / max(sum(s.tokens for s in self.splits.values()), 1)


def alike_labels(labels: Iterable[str]) -> tuple[tuple[str, ...], ...]:
  """Return the groups of labels that differ by case or white space only."""
  groups = collections.defaultdict(list)
  for label in labels:
    groups["".join(label.casefold().split())].append(label)
  return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def joined_labels(labels: Iterable[str]) -> tuple[str, ...]:
  """Return the labels that are two or more of the others, joined.

  They are what several labels of a text look like where they are read as one.
  """
  known = set(labels)
  return tuple(
    label
    for label in sorted(known)
    for separator in _SEPARATORS
    if len(parts := {part.strip() for part in label.split(separator)}) > 1
    and parts <= known
  )


def measure_scores(values_N: np.ndarray) -> ScoreFigures | None:
  """Return what is measured of scores; None if values are classes."""
  if not np.issubdtype(values_N.dtype, np.floating):
    return None
  return ScoreFigures(
    len(np.unique(values_N)), float(values_N.min()), float(values_N.max())
  )


def are_numbers(labels: Iterable[str]) -> bool:
  """Return whether all labels are numbers."""
  return all(_NUMBER.fullmatch(label) for label in labels)


def count_numeric(labels: Iterable[str]) -> int:
  """Return the number of labels if they look like measured numbers; else 0.

  They do if all are numbers, and one has a fraction, as 3.333, or there are
  many integers that do not count up from 0 or 1, as the points of a test do.
  """
  labels = set(labels)
  if not are_numbers(labels):
    return 0
  values = sorted({float(label) for label in labels})
  if any(value % 1 for value in values):
    return len(labels)
  counts_up = values[0] in {0, 1} and values[-1] - values[0] < len(values)
  return 0 if counts_up or len(values) < _MANY_INTEGERS else len(labels)
