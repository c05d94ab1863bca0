# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a linear classifier reads from the vectors of a frozen encoder.

Logistic regression with an L2 penalty, by scipy's L-BFGS. Dev chooses the
penalty among the same few for every encoder.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

# Of the squared weights of standardized features, beside the mean loss.
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)


@dataclasses.dataclass(frozen=True)
class LinearScore:
  """The best classifier on dev.

  Attributes:
    accuracy: its accuracy on test.
    right_N: bool, which examples of test it gets right.
    dev_accuracy: that on dev.
    penalty: the one of `PENALTIES`.
  """

  accuracy: float
  right_N: np.ndarray
  dev_accuracy: float
  penalty: float


def score_linear(
  vectors_ND: np.ndarray, label_N: np.ndarray, part_N: np.ndarray
) -> LinearScore:
  """Train on part 0, choose on part 1, and score on part 2.

  Args:
    vectors_ND: a vector for each example.
    label_N: 0 or 1.
    part_N: 0 train, 1 dev, 2 test.
  """
  train_N = part_N == 0
  vectors_ND = vectors_ND.astype(np.float64)
  mean_D = vectors_ND[train_N].mean(axis=0)
  # A feature that does not vary says nothing, and stays 0.
  std_D = np.maximum(vectors_ND[train_N].std(axis=0), 1e-6)
  vectors_ND = (vectors_ND - mean_D) / std_D
  parts: Mapping[int, Any] = {
    part: (vectors_ND[part_N == part], label_N[part_N == part])
    for part in range(3)
  }
  found = {}
  for penalty in PENALTIES:
    weights_D, bias = fit_logistic(parts[0][0], parts[0][1], penalty)
    found[penalty] = {
      part: (vectors @ weights_D + bias, labels)
      for part, (vectors, labels) in parts.items()
    }
  best = min(found, key=lambda penalty: _loss(*found[penalty][1]))
  right_N = _is_right(*found[best][2])
  return LinearScore(
    accuracy=float(np.mean(right_N)),
    right_N=right_N,
    dev_accuracy=float(np.mean(_is_right(*found[best][1]))),
    penalty=best,
  )


def fit_logistic(
  vectors_ND: np.ndarray, label_N: np.ndarray, penalty: float
) -> tuple[np.ndarray, float]:
  """Return the weights and the bias of the least mean loss and penalty.

  The objective is mean cross-entropy + penalty / 2 · |weights|².

  Args:
    vectors_ND: float64, standardized.
    label_N: 0 or 1.
    penalty: factor of the penalty.
  """
  from scipy import optimize  # half a second, which a finished study saves

  size, width = vectors_ND.shape

  def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
    weights_D, bias = theta[:-1], theta[-1]
    logits_N = vectors_ND @ weights_D + bias
    residual_N = (special.expit(logits_N) - label_N) / size
    value = _loss(logits_N, label_N) + penalty / 2 * float(
      weights_D @ weights_D
    )
    gradient = vectors_ND.T @ residual_N + penalty * weights_D
    return value, np.append(gradient, residual_N.sum())

  found = optimize.minimize(
    value_and_gradient,
    np.zeros(width + 1),
    jac=True,
    method="L-BFGS-B",
    options={"maxiter": 500, "gtol": 1e-6},
  )
  return found.x[:-1], float(found.x[-1])


def _loss(logits_N: np.ndarray, label_N: np.ndarray) -> float:
  return float(np.mean(np.logaddexp(0.0, logits_N) - label_N * logits_N))


def _is_right(logits_N: np.ndarray, label_N: np.ndarray) -> np.ndarray:
  return (logits_N > 0) == (label_N == 1)
