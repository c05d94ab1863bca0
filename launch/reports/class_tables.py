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
      f"{counts.f1(index):.4f}",
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
  wrong = confusion * (1 - np.eye(len(labels), dtype=confusion.dtype))
  largest = np.argsort(-wrong, axis=None, kind="stable")[:_SHOWN]
  rows = []
  for place in map(int, largest):
    label, predicted = divmod(place, len(labels))
    if count := int(wrong[label, predicted]):
      rows.append(
        [_plain(labels[label]), _plain(labels[predicted]), str(count)]
      )
  if not rows:
    return ["no class is mistaken for another"]
  return [
    "the most frequent mistakes (--output has the whole confusion matrix):",
    markdown(["label", "predicted as", "times"], rows),
  ]


def _share(part: int, whole: int) -> str:
  return f"{part / whole:.4f}" if whole else "–"


def _plain(label: str) -> str:
  return label.replace("|", "\\|")
