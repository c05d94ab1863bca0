# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured of a task's data while it is read; nothing is judged here.

`launch.preflight` compares these figures with thresholds.
"""

import collections
import dataclasses
import re
from collections.abc import Iterable, Mapping

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
# Fewer integers than this are classes, also where some are missing: 1 to 5
# stars, or months.
_MANY_INTEGERS = 30


@dataclasses.dataclass(frozen=True)
class TableFigures:
  """What was found while the tables of a task were read.

  Attributes:
    rows: number of rows, with those that were left out.
    skipped: what was wrong with each row that was left out, with its place.
    stripped_labels: number of rows whose label had white space around it.
    unscored_test: why there is no test split; "" if there is one.
  """

  rows: int = 0
  skipped: tuple[str, ...] = ()
  stripped_labels: int = 0
  unscored_test: str = ""


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
    by_class: number of examples of each class.
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
  """

  labels: tuple[str, ...]
  alike_labels: tuple[tuple[str, ...], ...]
  numeric_labels: int
  table: TableFigures
  splits: Mapping[str, SplitFigures]

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


def count_numeric(labels: Iterable[str]) -> int:
  """Return the number of labels if they look like measured numbers; else 0.

  They do if all are numbers, and one has a fraction, as 3.333, or there are
  many integers that do not count up from 0 or 1, as the points of a test do.
  """
  labels = set(labels)
  if not all(_NUMBER.fullmatch(label) for label in labels):
    return 0
  values = sorted({float(label) for label in labels})
  if any(value % 1 for value in values):
    return len(labels)
  counts_up = values[0] in {0, 1} and values[-1] - values[0] < len(values)
  return 0 if counts_up or len(values) < _MANY_INTEGERS else len(labels)
