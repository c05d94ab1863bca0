# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a task calls a mistake, for a page that draws it.

A task that declares `FinetuneTask.analyze` gets its mistakes, its confusions
and its plots in the report of a run; the report knows no task. Only examples
that are shown are kept.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bertjax.finetune.windows import Windows

# How many mistakes are shown.
SHOWN = 20
# Characters of a context on each side of an answer.
_AROUND = 140


class Mistake(NamedTuple):
  """An answer that is wrong.

  Attributes:
    cells: how bad it is, one cell for each of `Mistakes.columns`.
    wanted: what is right: labels, entities or answers; may be empty.
    given: what the model gave instead.
    texts: what it read: one text, a pair, or a context and its choices.
  """

  cells: tuple[str, ...]
  wanted: tuple[str, ...]
  given: tuple[str, ...]
  texts: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Mistakes:
  """The worst answers.

  Attributes:
    title: what they are.
    summary: a sentence on all mistakes, those that are not shown among them.
    columns: headers of `Mistake.cells`.
    worst: the mistakes, the worst first.
  """

  title: str
  summary: str
  columns: tuple[str, ...]
  worst: tuple[Mistake, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Confusion:
  """What is taken for what.

  Attributes:
    names: names of rows and columns.
    counts_CC: int, how often each name (row) is answered by each (column).
    unit: what is counted, such as "texts".
    note: a sentence on how to read it.
  """

  names: tuple[str, ...]
  counts_CC: np.ndarray
  unit: str
  note: str


class ScorePairs(NamedTuple):
  """Scores that a model gives, and those that are right."""

  predicted_N: np.ndarray
  gold_N: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class ErrorAnalysis:
  """What a report shows of the answers of a model.

  Attributes:
    mistakes: the worst answers.
    confusion: what is taken for what; None where an answer is not one of some
      names.
    score_pairs: given and right scores; None where answers are not scores.
    class_errors: the expected calibration error of each class, where each is a
      question of its own.
  """

  mistakes: Mistakes
  confusion: Confusion | None = None
  score_pairs: ScorePairs | None = None
  class_errors: tuple[float, ...] = ()


def find_worst(
  badness_E: np.ndarray, is_wrong_E: np.ndarray | None = None
) -> list[int]:
  """Return the numbers of the worst examples, the worst first.

  Args:
    badness_E: float, how bad each answer is.
    is_wrong_E: bool, which of them are mistakes; None if all are.
  """
  if is_wrong_E is None:
    is_wrong_E = np.ones(len(badness_E), bool)
  wrong = np.flatnonzero(is_wrong_E)
  order = np.argsort(-np.asarray(badness_E)[wrong], kind="stable")[:SHOWN]
  return wrong[order].tolist()


def count_wrong(is_wrong_E: np.ndarray, what: str) -> str:
  """Return a sentence on the number of mistakes."""
  return f"{int(is_wrong_E.sum()):,} of {len(is_wrong_E):,} {what} are wrong."


def texts_of(windows: Windows, number: int) -> tuple[str, ...]:
  """Return the texts of an example; nothing where the reader kept none."""
  return tuple(windows.examples[number]) if windows.examples else ()


def excerpt(text: str, spans: Sequence[tuple[int, int]]) -> str:
  """Return the parts of a text around some spans, in order.

  Args:
    text: the text.
    spans: the first character of each span, and the one after its last.
  """
  parts: list[list[int]] = []
  for start, stop in sorted(spans):
    low, high = max(start - _AROUND, 0), min(stop + _AROUND, len(text))
    if parts and low <= parts[-1][1]:
      parts[-1][1] = max(high, parts[-1][1])
    else:
      parts.append([low, high])
  if not parts:
    parts = [[0, min(2 * _AROUND, len(text))]]
  shown = " … ".join(text[low:high].strip() for low, high in parts)
  before = "… " if parts[0][0] else ""
  after = " …" if parts[-1][1] < len(text) else ""
  return before + shown + after
