# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of resampled test examples, from what is kept of each example.

A score that is no mean over examples, such as the correlation of Matthews, is
computed anew for every draw, from how often the draw takes each example.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# {name: value of each example}.
Columns = Mapping[str, NDArray[Any]]
_CLASSES, _NUMBERS = ("label", "predicted"), ("true", "predicted")
# How many entities or labels an example has, how many are predicted, and how
# many of these are right.
_COUNTS = ("wanted", "given", "right")


def can_score(metric: str, columns: Columns) -> bool:
  """Return whether a score follows from what is kept of each example."""
  if metric in columns:
    return True
  return any(
    name == metric and {*names} <= {*columns} for name, names in _SCORES
  )


def score_draws(
  metric: str, columns: Columns, counts_DN: NDArray[Any]
) -> Array:
  """Return a score of each draw, float64 of shape [draws].

  Args:
    metric: a score with `can_score`. One that has a column is the mean of it;
      others are defined as in `finetune/scores`.
    columns: `label` and `predicted` are classes; `true` and `predicted` are
      numbers; `wanted`, `given` and `right` are counts.
    counts_DN: how often each draw takes each example.

  Raises:
    ValueError: the score does not follow from these columns.
  """
  counts_DN = np.asarray(counts_DN, np.float64)
  if metric in columns:
    return counts_DN @ columns[metric] / counts_DN.sum(axis=1)
  for (name, names), score in _SCORES.items():
    if name == metric and {*names} <= {*columns}:
      return score(*(columns[each] for each in names), counts_DN)
  raise ValueError(f"{metric} does not follow from {', '.join(columns)}")


def _count_classes(
  label_N: Array, predicted_N: Array, counts_DN: Array
) -> tuple[Array, Array, Array]:
  """Return the labels, the predictions and the right ones, by class."""
  labels_N, answers_N = label_N.astype(np.int64), predicted_N.astype(np.int64)
  one_CC = np.eye(max(2, labels_N.max() + 1, answers_N.max() + 1))
  right_N1 = (labels_N == answers_N)[:, None]
  labels_DC, answers_DC, right_DC = (
    counts_DN @ each_NC
    for each_NC in (
      one_CC[labels_N],
      one_CC[answers_N],
      one_CC[labels_N] * right_N1,
    )
  )
  return labels_DC, answers_DC, right_DC


def _f1_of_classes(
  labels_DC: Array, answers_DC: Array, right_DC: Array
) -> Array:
  return 2 * right_DC / np.maximum(labels_DC + answers_DC, 1)


def _matthews(label_N: Array, predicted_N: Array, counts_DN: Array) -> Array:
  labels_DC, answers_DC, right_DC = _count_classes(
    label_N, predicted_N, counts_DN
  )
  total_D, right_D = counts_DN.sum(axis=1), right_DC.sum(axis=1)
  together_D = (labels_DC * answers_DC).sum(axis=1)
  spread_D = (total_D**2 - (labels_DC**2).sum(axis=1)) * (
    total_D**2 - (answers_DC**2).sum(axis=1)
  )
  root_D = np.sqrt(np.where(spread_D > 0, spread_D, 1))
  return np.where(spread_D > 0, (right_D * total_D - together_D) / root_D, 0)


def _macro_f1(label_N: Array, predicted_N: Array, counts_DN: Array) -> Array:
  counted = _count_classes(label_N, predicted_N, counts_DN)
  occurs_DC = counted[0] + counted[1] > 0
  return (_f1_of_classes(*counted) * occurs_DC).sum(axis=1) / occurs_DC.sum(
    axis=1
  )


def _f1(label_N: Array, predicted_N: Array, counts_DN: Array) -> Array:
  counted = _count_classes(label_N, predicted_N, counts_DN)
  return _f1_of_classes(*counted)[:, 1]


def _f1_of_counts(
  wanted_N: Array, given_N: Array, right_N: Array, counts_DN: Array
) -> Array:
  wanted_D, given_D, right_D = (
    counts_DN @ each_N for each_N in (wanted_N, given_N, right_N)
  )
  return 2 * right_D / np.maximum(wanted_D + given_D, 1)


def _pearson(true_N: Array, predicted_N: Array, counts_DN: Array) -> Array:
  shape = counts_DN.shape
  return _correlate(
    np.broadcast_to(true_N, shape),
    np.broadcast_to(predicted_N, shape),
    counts_DN,
  )


def _spearman(true_N: Array, predicted_N: Array, counts_DN: Array) -> Array:
  return _correlate(
    _ranks(true_N, counts_DN), _ranks(predicted_N, counts_DN), counts_DN
  )


def _ranks(values_N: Array, counts_DN: Array) -> Array:
  """Return the rank of each example in each draw; equal values share one."""
  order_N = np.argsort(values_N, kind="stable")
  _, places_N = np.unique(values_N, return_inverse=True)
  _, starts_U = np.unique(values_N[order_N], return_index=True)
  counts_DU = np.add.reduceat(counts_DN[:, order_N], starts_U, axis=1)
  means_DU = np.cumsum(counts_DU, axis=1) - (counts_DU - 1) / 2
  return means_DU[:, places_N]


def _correlate(x_DN: Array, y_DN: Array, counts_DN: Array) -> Array:
  total_D1 = counts_DN.sum(axis=1, keepdims=True)
  x_DN, y_DN = (
    each - (each * counts_DN).sum(axis=1, keepdims=True) / total_D1
    for each in (x_DN, y_DN)
  )
  product_D, x_D, y_D = (
    (a * b * counts_DN).sum(axis=1)
    for a, b in ((x_DN, y_DN), (x_DN, x_DN), (y_DN, y_DN))
  )
  spread_D = np.sqrt(x_D * y_D)
  return product_D / np.where(spread_D > 0, spread_D, np.inf)


# (score, the columns that it needs) → (columns…, counts_DN) → its values.
_SCORES: Mapping[tuple[str, tuple[str, ...]], Callable[..., Array]] = {
  ("matthews", _CLASSES): _matthews,
  ("macro_f1", _CLASSES): _macro_f1,
  ("f1", _CLASSES): _f1,
  ("f1", _COUNTS): _f1_of_counts,
  ("micro_f1", _COUNTS): _f1_of_counts,
  ("pearson", _NUMBERS): _pearson,
  ("spearman", _NUMBERS): _spearman,
}
