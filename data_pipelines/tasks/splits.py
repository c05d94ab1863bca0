# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Held-out examples and subsamples, and texts that two splits share."""

import collections
import pathlib
import re
from collections.abc import Hashable, Sequence

import numpy as np

from data_pipelines.tasks.batches import order

# A file that is named after its split, as train.csv or train-v1.1.json.
_OF_SPLIT = re.compile(r"train(ing)?(?![A-Za-z])", re.IGNORECASE)
# A dataset of a hub, as tfds:NAME:SPLIT and hf:NAME:CONFIG:SPLIT.
_OF_HUB = re.compile(r"(?:tfds|hf):(.+):")
# Equal for copies of a text, or of a pair of texts.
TextKey = Hashable


def data_name(train: str) -> str:
  """Return what data are called, by the path of their training examples.

  A file that is named after its split says nothing: its folder's name counts.
  """
  if hub := _OF_HUB.match(train):
    return hub[1].rsplit("/", 1)[-1]
  path = pathlib.Path(train)
  is_named = not _OF_SPLIT.match(path.stem)
  return path.stem if is_named else path.parent.name or path.stem


def text_keys(
  texts: Sequence[str], pairs: Sequence[str] | None
) -> list[TextKey]:
  """Return a key for each example that all its copies have.

  Copies differ by case and white space only. A pair is a copy of the pair with
  both texts in the other order.
  """
  if pairs is None:
    return [_key(text) for text in texts]
  return [
    frozenset((_key(text), _key(pair)))
    for text, pair in zip(texts, pairs, strict=True)
  ]


def hold_out(
  labels_N: np.ndarray, keys: Sequence[TextKey], rate: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Split examples into kept and held-out ones, stratified by label.

  All copies of a text are on one side. A text belongs to the label of its
  first copy, and every label with two or more texts is on both sides.

  Args:
    labels_N: int, label of each example.
    keys: key of the text of each example, of `text_keys`.
    rate: share of each label's texts to hold out, between 0 and 1.
    seed: the choice is a pure function of the seed and the label.

  Returns:
    Two sorted arrays of indices: kept, held out.
  """
  copies: dict[TextKey, list[int]] = collections.defaultdict(list)
  for index, key in enumerate(keys):
    copies[key].append(index)
  groups = list(copies.values())
  labels_G = labels_N[[group[0] for group in groups]]
  held: list[int] = []
  for label in np.unique(labels_G):
    members = np.flatnonzero(labels_G == label)
    count = min(max(1, round(rate * len(members))), len(members) - 1)
    for member in members[order(len(members), seed, int(label))[:count]]:
      held += groups[member]
  out = np.sort(np.asarray(held, np.int64))
  kept = np.setdiff1d(np.arange(len(labels_N)), out)
  return kept, out


def count_shared(keys: Sequence[TextKey], others: Sequence[TextKey]) -> int:
  """Return the number of `keys` that `others` have, too."""
  known = set(others)
  return sum(key in known for key in keys)


def count_contradicting(keys: Sequence[TextKey], labels_N: np.ndarray) -> int:
  """Return the number of examples whose text also has another label."""
  labels: dict[TextKey, set[bytes]] = collections.defaultdict(set)
  for key, label in zip(keys, labels_N, strict=True):
    labels[key].add(label.tobytes())
  return sum(len(labels[key]) > 1 for key in keys)


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


def _key(text: str) -> str:
  return " ".join(text.casefold().split())
