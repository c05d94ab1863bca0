# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""P-values of paired differences by seed, and their correction for number.

Values without spread have no p-value: how far chance reaches is not known. Only
where no seed has any difference is it 1.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

# Differences that are equal on paper differ by less than this share of
# themselves, by rounding.
_ROUNDING = 1e-9


def p_different(differences: ArrayLike) -> float | None:
  """Return the p-value of the two-sided paired t test; None without spread.

  Args:
    differences: one for each seed, drawn from a normal distribution.
  """
  values_S = np.asarray(differences, np.float64)
  if len(values_S) > 1 and not values_S.any():
    return 1.0
  above = _p_above(values_S * np.sign(values_S.mean()), 0)
  return None if above is None else 2 * above


def p_equivalent(differences: ArrayLike, margin: float) -> float | None:
  """Return the p-value of equivalence within ±margin; None without spread.

  The larger one of two one-sided t tests (Schuirmann, 1987): it is below 0.05
  exactly where the 90 % interval lies within the margin.

  Args:
    differences: one for each seed, drawn from a normal distribution.
    margin: the largest difference that does not matter.

  Raises:
    ValueError: the margin is not positive.
  """
  if not margin > 0:
    raise ValueError(
      f"margin={margin}; give the largest difference that does "
      "not matter, above 0"
    )
  values_S = np.asarray(differences, np.float64)
  above, below = _p_above(values_S, -margin), _p_above(-values_S, -margin)
  if above is None or below is None:
    return None
  return max(above, below)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
  """Return p-values corrected for their number, in the given order.

  The chance of any false difference among all of them is then at most the level
  that they are compared with, whether they depend on each other or not (Holm,
  1979, "A simple sequentially rejective multiple test procedure").
  """
  values_N = np.asarray(p_values, np.float64)
  order_N = np.argsort(values_N, kind="stable")
  left_N = np.arange(len(values_N), 0, -1)
  corrected_N = np.empty_like(values_N)
  corrected_N[order_N] = np.minimum(
    1, np.maximum.accumulate(values_N[order_N] * left_N)
  )
  return tuple(corrected_N.tolist())


def have_spread(values: ArrayLike) -> bool:
  """Return whether values differ by more than rounding; one value does not."""
  values_S = np.asarray(values, np.float64)
  return bool(np.ptp(values_S) > _ROUNDING * np.abs(values_S).max())


def _p_above(values_S: np.ndarray, bound: float) -> float | None:
  """Return the p-value of a mean that is above `bound`; None without spread."""
  if not have_spread(values_S):
    return None
  distance = float(values_S.mean()) - bound
  error = float(values_S.std(ddof=1)) / math.sqrt(len(values_S))
  return float(special.stdtr(len(values_S) - 1, -distance / error))
