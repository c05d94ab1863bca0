# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Correlations of predicted scores with true ones, as scipy.stats has them.

Scores that are all equal correlate with nothing: 0, where scipy has nan. A run
that predicts one score for every text is then poor and not diverged.
"""

import numpy as np

from bertjax.finetune.scores.checks import check_examples


def pearson(predictions_N: np.ndarray, answers_N: np.ndarray) -> float:
  """Return Pearson's linear correlation, between −1 and 1.

  Raises:
    ValueError: there is no example, or the lengths differ.
  """
  check_examples(predictions_N, answers_N)
  x_N, y_N = (np.asarray(v, np.float64) for v in (predictions_N, answers_N))
  if np.ptp(x_N) == 0 or np.ptp(y_N) == 0:
    return 0.0
  x_N, y_N = _unit(x_N), _unit(y_N)
  return float(np.clip(x_N @ y_N, -1, 1))


def spearman(predictions_N: np.ndarray, answers_N: np.ndarray) -> float:
  """Return Spearman's correlation of ranks; equal values share a mean rank.

  Raises:
    ValueError: there is no example, or the lengths differ.
  """
  check_examples(predictions_N, answers_N)
  return pearson(_ranks(predictions_N), _ranks(answers_N))


def _unit(values_N: np.ndarray) -> np.ndarray:
  """Return values with mean 0 and length 1."""
  centered_N = values_N - values_N.mean()
  # Divided by the largest first: the square of 1e-200 is 0.
  centered_N = centered_N / np.abs(centered_N).max()
  return centered_N / np.linalg.norm(centered_N)


def _ranks(values_N: np.ndarray) -> np.ndarray:
  """Return the rank of each value from 1, float64."""
  _, places_N, counts_U = np.unique(
    np.asarray(values_N, np.float64), return_inverse=True, return_counts=True
  )
  means_U = np.cumsum(counts_U) - (counts_U - 1) / 2
  return means_U[places_N]
