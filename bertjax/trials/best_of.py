# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the best of n runs would come to: a result with its budget.

The best of many runs is better than the best of few, so that a best score says
little without the number of runs that it is the best of (Dodge et al., 2019,
"Show your work: improved reporting of experimental results").
"""

import math
from collections.abc import Sequence


def expected_best(values: Sequence[float], runs: int) -> float:
  """Return the expected best value of `runs` runs.

  The mean of the best over all choices of `runs` different values, which is
  unbiased (Tang et al., 2020, "Showing your work doesn't always work"). Dodge
  et al. draw with replacement, and their estimate is too low: of a few values
  drawn with replacement, the largest is often not among them.

  Args:
    values: scores on dev, the larger the better.
    runs: 1 to the number of values; 1 gives their mean.

  Raises:
    ValueError: there are fewer values than `runs`.
  """
  total = len(values)
  if not 1 <= runs <= total:
    raise ValueError(
      f"runs={runs} of {total} values; give 1 to {total}: the best of more "
      "runs than there were is not known"
    )
  # The value of rank k, from the smallest, is the best of C(k - 1, runs - 1)
  # choices.
  best = sum(
    math.comb(rank, runs - 1) * value
    for rank, value in enumerate(sorted(values))
  )
  return best / math.comb(total, runs)


def expected_bests(values: Sequence[float]) -> tuple[float, ...]:
  """Return the expected best of 1, 2, … and of all values."""
  return tuple(
    expected_best(values, runs) for runs in range(1, len(values) + 1)
  )
