# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals of a mean over seeds, over test examples, over both.

Student's interval is the one to judge by: for normal values it covers the true
mean as often as it says, even with three seeds. It takes the test examples as
given. The bootstrap also asks what other test examples would have said.

Bootstrap intervals are percentiles. BCa's two corrections are estimated from
the same few values, and with few seeds it covers no better: at a level of 95 %,
the mean of 3, 5, 10 and 20 normal values is covered by percentiles in some 76,
83, 91 and 92 % of studies and by BCa in 74, 83, 91 and 92 %. Both are too
narrow with few seeds, because they know no value beyond those that were seen.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bertjax.trials.results import JsonResult

# What another study would have other ones of.
Over = Literal["seeds", "examples", "both"]
LEVEL = 0.95
DRAWS = 9_999
# Elements of a block of draws, which bounds the memory.
_BLOCK = 20_000_000


@dataclasses.dataclass(frozen=True)
class Interval(JsonResult):
  """A confidence interval.

  Attributes:
    low: its lower end.
    high: its upper end.
    level: share of studies whose interval covers the true value.
  """

  low: float
  high: float
  level: float = LEVEL

  def __contains__(self, value: float) -> bool:
    return self.low <= value <= self.high

  def __str__(self) -> str:
    return f"{self.low:+.3g} to {self.high:+.3g}"

  def is_within(self, margin: float) -> bool:
    """Return whether all of it is nearer to 0 than `margin`."""
    return -margin < self.low and self.high < margin


def student(values: ArrayLike, level: float = LEVEL) -> Interval | None:
  """Return Student's interval of the mean of values by seed.

  Args:
    values: one value for each seed, drawn from a normal distribution.
    level: share of studies whose interval covers the true mean.

  Returns:
    The interval; None for a single value, which has no spread.
  """
  values_S = np.asarray(values, np.float64)
  if len(values_S) < 2:
    return None
  quantile = special.stdtrit(len(values_S) - 1, (1 + level) / 2)
  half = float(quantile * values_S.std(ddof=1) / math.sqrt(len(values_S)))
  mean = float(values_S.mean())
  return Interval(mean - half, mean + half, level)


def bootstrap(
  values: ArrayLike,
  over: Over,
  *,
  level: float = LEVEL,
  draws: int = DRAWS,
  seed: int = 0,
) -> Interval:
  """Return the percentile interval of a mean over seeds and test examples.

  Over both, seeds and examples are drawn independently, each seed with all of
  its examples (the multi-bootstrap of Sellam et al., 2022, "The MultiBERTs",
  section 3; Owen, 2007, "The pigeonhole bootstrap").

  Args:
    values: shape [seeds, examples]; for paired runs, the difference of two runs
      of one seed on one example (of losses, or of 0 and 1 for wrong and right).
    over: what is drawn with replacement; the other is taken as given.
    level: share of studies whose interval should cover the true mean.
    draws: number of resampled studies.
    seed: seed of the draws; equal arguments give equal intervals.

  Raises:
    ValueError: `values` has no such shape, or too few to draw from.
  """
  values_SN = np.asarray(values, np.float64)
  if values_SN.ndim != 2:
    raise ValueError(
      f"values of shape {values_SN.shape}; give one row for each seed, with "
      "one value for each example"
    )
  _check(values_SN.shape[0], values_SN.shape[1], over)
  rng = np.random.default_rng(seed)
  if over == "seeds":
    return _percentiles(values_SN.mean(axis=1), level, draws, rng)
  seeds, examples = values_SN.shape
  # Examples with equal values in all seeds are drawn together: right and wrong
  # answers of a few seeds have few such kinds.
  values_SK, count_K = np.unique(values_SN, axis=1, return_counts=True)
  means = []
  for count in _blocks(draws, len(count_K)):
    # How often a draw takes each seed and each kind of example.
    seeds_DS = np.ones((count, seeds), np.int64)
    if over == "both":
      seeds_DS = rng.multinomial(seeds, np.full(seeds, 1 / seeds), count)
    kinds_DK = rng.multinomial(examples, count_K / examples, count)
    means.append(np.sum((seeds_DS @ values_SK) * kinds_DK, axis=1))
  return _interval(np.concatenate(means) / (seeds * examples), level)


class Scored(NamedTuple):
  """A score by seed that is computed anew for every draw of test examples.

  Attributes:
    seeds: number of seeds.
    count_K: number of test examples of each kind. Examples on which all answers
      are equal are of one kind, and are drawn together.
    values: how many examples of each kind a draw takes, of shape [draws, kinds]
      → the score by draw and seed.
  """

  seeds: int
  count_K: NDArray[np.int64]
  values: Callable[[NDArray[Any]], NDArray[np.float64]]


def bootstrap_score(
  scored: Scored,
  over: Over,
  *,
  level: float = LEVEL,
  draws: int = DRAWS,
  seed: int = 0,
) -> Interval:
  """Return what `bootstrap` does for a score that is no mean over examples.

  Args:
    scored: the score.
    over: as in `bootstrap`.
    level: as in `bootstrap`.
    draws: as in `bootstrap`.
    seed: as in `bootstrap`.

  Raises:
    ValueError: there are too few seeds or examples to draw from.
  """
  seeds, count_K = scored.seeds, scored.count_K
  examples = int(count_K.sum())
  _check(seeds, examples, over)
  rng = np.random.default_rng(seed)
  if over == "seeds":
    (values_S,) = scored.values(count_K[None])
    return _percentiles(values_S, level, draws, rng)
  means = []
  for count in _blocks(draws, len(count_K)):
    counts_DK = rng.multinomial(examples, count_K / examples, count)
    seeds_DS = np.ones((count, seeds), np.int64)
    if over == "both":
      seeds_DS = rng.multinomial(seeds, np.full(seeds, 1 / seeds), count)
    means.append(np.sum(scored.values(counts_DK) * seeds_DS, axis=1) / seeds)
  return _interval(np.concatenate(means), level)


def _percentiles(
  values_N: NDArray[np.float64],
  level: float,
  draws: int,
  rng: np.random.Generator,
) -> Interval:
  """Return the percentiles of means of draws with replacement.

  They are those of `scipy.stats.bootstrap(method="percentile")`, by the same
  draws; to import that takes a second, which a finished study saves.
  """
  count = len(values_N)
  means = [
    values_N[rng.integers(0, count, (size, count))].mean(axis=1)
    for size in _blocks(draws, count)
  ]
  return _interval(np.concatenate(means), level)


def _interval(means_D: NDArray[np.float64], level: float) -> Interval:
  low, high = np.quantile(means_D, ((1 - level) / 2, (1 + level) / 2))
  return Interval(float(low), float(high), level)


def _blocks(draws: int, examples: int) -> list[int]:
  size = max(1, _BLOCK // examples)
  return [min(size, draws - start) for start in range(0, draws, size)]


def _check(seeds: int, examples: int, over: Over) -> None:
  for name, count in (("seeds", seeds), ("examples", examples)):
    if over in (name, "both") and count < 2:
      raise ValueError(
        f"{count} of {name} cannot be drawn from; give 2 or more, or draw over "
        f"{'examples' if name == 'seeds' else 'seeds'} alone"
      )
