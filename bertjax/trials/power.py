# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How many seeds would tell a difference of a given size."""

import math

from scipy import special

from bertjax.trials.intervals import LEVEL

# The share of studies that should find what is there (Cohen, 1988, "Statistical
# power analysis for the behavioral sciences").
POWER = 0.8
# No study has more seeds than this; the search ends there.
MOST_SEEDS = 10_000


def power(effect: float, seeds: int, level: float = LEVEL) -> float:
  """Return the share of studies whose two-sided paired t test finds an effect.

  By the noncentral t distribution.

  Args:
    effect: true mean of the paired differences over their standard deviation.
    seeds: number of pairs, 2 or more.
    level: level of the interval that should exclude 0.
  """
  freedom, shift = seeds - 1, abs(effect) * math.sqrt(seeds)
  bound = special.stdtrit(freedom, (1 + level) / 2)
  below = special.nctdtr(freedom, shift, bound)
  return float(1 - below + special.nctdtr(freedom, shift, -bound))


def seeds_needed(
  effect: float, share: float = POWER, level: float = LEVEL
) -> int | None:
  """Return the fewest seeds with which `share` of studies find an effect.

  Args:
    effect: true mean of the paired differences over their standard deviation.
    share: share of studies whose interval excludes 0.
    level: level of the interval.

  Returns:
    2 or more; None if that needs more than MOST_SEEDS.
  """
  if power(effect, MOST_SEEDS, level) < share:
    return None
  fewest, most = 1, MOST_SEEDS  # too few, and enough; power grows with seeds
  while most - fewest > 1:
    middle = (fewest + most) // 2
    if power(effect, middle, level) < share:
      fewest = middle
    else:
      most = middle
  return most
