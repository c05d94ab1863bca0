# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled texts, their splits and their subsamples; numpy only."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class LabelledTexts:
  """Texts, each with the text beside it where the task has pairs, and a label.

  Attributes:
    texts: one string an example.
    pairs: the second text of each, or None for a task of single texts.
    labels_N: int32, indices into the task's labels.
  """

  texts: tuple[str, ...]
  pairs: tuple[str, ...] | None
  labels_N: np.ndarray

  def __len__(self) -> int:
    return len(self.texts)

  def take(self, indices: Sequence[int] | np.ndarray) -> "LabelledTexts":
    """Return the examples at `indices`, in that order."""
    return LabelledTexts(
      tuple(self.texts[i] for i in indices),
      None if self.pairs is None else tuple(self.pairs[i] for i in indices),
      self.labels_N[np.asarray(indices, np.int64)],
    )


@dataclasses.dataclass(frozen=True)
class Task:
  """A classification task: the names of its classes and three splits."""

  name: str
  labels: tuple[str, ...]
  train: LabelledTexts
  dev: LabelledTexts
  test: LabelledTexts


def order(count: int, *key: int) -> np.ndarray:
  """A permutation of `count`, a pure function of up to two numbers.

  It sorts the raw words of a counter-based generator, so no release of numpy
  draws another one.
  """
  key_2 = np.zeros(2, np.uint64)
  key_2[: len(key)] = key
  words = np.random.Philox(key=key_2).random_raw(count)
  return np.argsort(np.asarray(words, np.uint64), kind="stable")


def hold_out(
  labels_N: np.ndarray, rate: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Split examples into those kept and those held out, label by label.

  Every label with two examples or more is on both sides.

  Args:
    labels_N: int, the label of each example.
    rate: the share of each label that is held out, between 0 and 1.
    seed: what the choice is a function of, with the label.

  Returns:
    Two sorted arrays of indices, kept and held out.

  Raises:
    ValueError: a rate outside (0, 1).
  """
  if not 0 < rate < 1:
    raise ValueError(
      f"a share of {rate} cannot be held out; give one between 0 and 1"
    )
  held = []
  for label in np.unique(labels_N):
    members = np.flatnonzero(labels_N == label)
    count = min(max(1, round(rate * len(members))), len(members) - 1)
    held.append(members[order(len(members), seed, int(label))[:count]])
  out = np.sort(np.concatenate(held)) if held else np.zeros(0, np.int64)
  kept = np.setdiff1d(np.arange(len(labels_N)), out)
  return kept, out


def subsample(labels_N: np.ndarray, per_class: int, seed: int) -> np.ndarray:
  """Sorted indices of up to `per_class` examples of every label.

  A smaller subsample of the same seed is part of a larger one. 0 takes all.

  Raises:
    ValueError: a negative count.
  """
  if per_class < 0:
    raise ValueError(f"labels_per_class={per_class} is negative; 0 takes all")
  if per_class == 0:
    return np.arange(len(labels_N))
  taken = []
  for label in np.unique(labels_N):
    members = np.flatnonzero(labels_N == label)
    taken.append(members[order(len(members), seed, int(label))[:per_class]])
  return np.sort(np.concatenate(taken))
