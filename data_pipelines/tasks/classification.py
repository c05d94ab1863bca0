# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Data of classification: labeled texts, their splits and subsamples."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from bertjax.batch import TaskData
from bertjax.config import TaskConfig
from data_pipelines.tasks.batches import ReadTask, TaskBatches, order
from data_pipelines.tasks.features import Tokenizer, encode_texts


@dataclasses.dataclass(frozen=True)
class LabeledTexts:
  """Texts, or pairs of texts, and a label for each.

  Attributes:
    texts: one string for each example.
    pairs: the second text of each example, or None for single texts.
    labels_N: int32, index of each example's class.
  """

  texts: tuple[str, ...]
  pairs: tuple[str, ...] | None
  labels_N: np.ndarray

  def __len__(self) -> int:
    return len(self.texts)

  def take(self, indices: Sequence[int] | np.ndarray) -> "LabeledTexts":
    """Return the examples at `indices`, in that order."""
    return LabeledTexts(
      tuple(self.texts[i] for i in indices),
      None if self.pairs is None else tuple(self.pairs[i] for i in indices),
      self.labels_N[np.asarray(indices, np.int64)],
    )


@dataclasses.dataclass(frozen=True)
class Classification:
  """The names of the classes, and three splits of labeled texts."""

  name: str
  labels: tuple[str, ...]
  train: LabeledTexts
  dev: LabeledTexts
  test: LabeledTexts


def make_reader(load: Callable[[TaskConfig], Classification]) -> ReadTask:
  """Return the reader of labeled texts that `load` returns.

  It trains on `labels_per_class` examples of each class. Dev and test stay
  whole, so that scores for different numbers of labels can be compared.
  """

  def read(
    config: TaskConfig, tokenizer: Tokenizer, seq_length: int
  ) -> TaskData:
    loaded = load(config)
    chosen = subsample(
      loaded.train.labels_N, config.labels_per_class, config.seed
    )
    splits = {
      "train": loaded.train.take(chosen),
      "dev": loaded.dev,
      "test": loaded.test,
    }
    return TaskData(
      name=loaded.name,
      labels=loaded.labels,
      pair=loaded.train.pairs is not None,
      splits={
        name: TaskBatches(
          encode_texts(tokenizer, split.texts, split.pairs, seq_length),
          make_targets(split.labels_N),
        )
        for name, split in splits.items()
      },
    )

  return read


def make_targets(labels_N: np.ndarray) -> dict[str, np.ndarray]:
  """Return the target record of examples that have a row each."""
  return {
    "label_BR": labels_N[:, None].astype(np.int32),
    "weight_BR": np.ones((len(labels_N), 1), np.float32),
  }


def hold_out(
  labels_N: np.ndarray, rate: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Split examples into kept and held-out ones, stratified by label.

  Every label with two or more examples is on both sides.

  Args:
    labels_N: int, label of each example.
    rate: share of each label to hold out, between 0 and 1.
    seed: the choice is a pure function of the seed and the label.

  Returns:
    Two sorted arrays of indices: kept, held out.
  """
  held = []
  for label in np.unique(labels_N):
    members = np.flatnonzero(labels_N == label)
    count = min(max(1, round(rate * len(members))), len(members) - 1)
    held.append(members[order(len(members), seed, int(label))[:count]])
  out = np.sort(np.concatenate(held)) if held else np.zeros(0, np.int64)
  kept = np.setdiff1d(np.arange(len(labels_N)), out)
  return kept, out


def subsample(labels_N: np.ndarray, per_class: int, seed: int) -> np.ndarray:
  """Return sorted indices of up to `per_class` examples of every label.

  A smaller subsample of the same seed is part of a larger one. 0 takes all.
  """
  if per_class == 0:
    return np.arange(len(labels_N))
  taken = []
  for label in np.unique(labels_N):
    members = np.flatnonzero(labels_N == label)
    taken.append(members[order(len(members), seed, int(label))[:per_class]])
  return np.sort(np.concatenate(taken))
