# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of classes: how often each is right, and which are mistaken."""

from collections.abc import Sequence

import numpy as np

from bertjax.finetune.scores import ClassCounts
from bertjax.trials.markdown import markdown

# A matrix of more classes does not fit on a terminal.
_MATRIX = 12
# How many pairs of classes are listed instead.
_SHOWN = 12


def class_table(labels: Sequence[str], counts: ClassCounts) -> str:
  """Return a table with a row for each class."""
  rows = [
    [
      _plain(label),
      f"{counts.labels[index]:,}",
      f"{counts.predictions[index]:,}",
      _share(counts.right[index], counts.predictions[index]),
      _share(counts.right[index], counts.labels[index]),
      f"{counts.f1(index):.4f}" if counts.occurs(index) else "–",
    ]
    for index, label in enumerate(labels)
  ]
  header = ["class", "examples", "predicted", "precision", "recall", "F1"]
  return markdown(header, rows)


def confusions(labels: Sequence[str], confusion: np.ndarray) -> list[str]:
  """Return the matrix of mistakes, or a list of the most frequent ones.

  Args:
    labels: name of each class.
    confusion: how often each label (row) is predicted as each class.
  """
  if len(labels) <= _MATRIX:
    rows = [
      [_plain(label), *map(str, counts)]
      for label, counts in zip(labels, confusion.tolist(), strict=True)
    ]
    return [
      "how often each label (row) is predicted as each class (column):",
      markdown(["", *map(_plain, labels)], rows),
    ]
  rows = [
    [_plain(label), _plain(predicted), str(count)]
    for label, predicted, count in most_frequent(labels, confusion, _SHOWN)
  ]
  if not rows:
    return ["no class is mistaken for another"]
  return [
    "the most frequent mistakes (--output has the whole confusion matrix):",
    markdown(["label", "predicted as", "times"], rows),
  ]


def most_frequent(
  names: Sequence[str], counts_CC: np.ndarray, most: int
) -> list[tuple[str, str, int]]:
  """Return the most frequent mistakes: label, prediction, and how often.

  Args:
    names: name of each class.
    counts_CC: how often each label (row) is predicted as each class.
    most: mistakes to return at most; what is never mistaken is left out.
  """
  wrong_CC = counts_CC.copy()
  np.fill_diagonal(wrong_CC, 0)
  order = np.argsort(-wrong_CC, axis=None, kind="stable")[:most]
  places = [divmod(int(place), len(names)) for place in order]
  return [
    (names[row], names[column], int(wrong_CC[row, column]))
    for row, column in places
    if wrong_CC[row, column]
  ]


def _share(part: int, whole: int) -> str:
  return f"{part / whole:.4f}" if whole else "–"


def _plain(label: str) -> str:
  return label.replace("|", "\\|")
