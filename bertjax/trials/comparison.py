# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Whether two kinds of run differ, in numbers and in a sentence."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from bertjax.trials.intervals import (
  LEVEL,
  Interval,
  Over,
  Scored,
  bootstrap,
  bootstrap_score,
  student,
)
from bertjax.trials.power import MOST_SEEDS, POWER, seeds_needed
from bertjax.trials.results import JsonResult
from bertjax.trials.significance import (
  have_spread,
  holm,
  p_different,
  p_equivalent,
)
from bertjax.trials.statistics import paired, summarize

Conclusion = Literal["different", "equivalent", "undecided", "no spread"]
_ALPHA = 1 - LEVEL
# Resampled studies of a bootstrap over examples; a study has many comparisons.
_DRAWS = 2_000


@dataclasses.dataclass(frozen=True)
class Comparison(JsonResult):
  """A metric of runs minus that of a baseline, seed by seed.

  Attributes:
    name: what is compared.
    baseline: what it is compared with.
    metric: name of the metric.
    differences: name − baseline, in the order of the seeds.
    mean: mean of the differences.
    std: their sample standard deviation; None for one seed.
    interval: Student's 95 % interval of the mean; None for one seed.
    effect: mean over std, corrected for few seeds (Hedges, 1981); None without
      spread, or with two seeds.
    noise: mean over the standard deviation of the baseline's own values; None
      without spread. Below 1, another seed changes more than the arm does.
    p: p-value of a difference; None without spread, as with one seed.
    corrected_p: corrected for `comparisons`, see `correct`.
    comparisons: number of comparisons that were made together.
    seeds_needed: seeds with which 80 % of studies would find a difference of
      the measured size and spread; None without spread or beyond MOST_SEEDS.
    margin: the largest difference that does not matter, if one was stated
      before; then equivalence is judged as well.
    equivalent_p: p-value of equivalence within the margin.
    equivalent_interval: the 90 % interval that has to lie within the margin.
    bootstrap: {"seeds", "examples", "both": the 95 % interval over them};
      "seeds" with two of them or more, the others where there are values of
      single examples. Student's interval takes the examples as given; "both"
      does not. Those over seeds are too narrow with few.
  """

  name: str
  baseline: str
  metric: str
  differences: tuple[float, ...]
  mean: float
  std: float | None
  interval: Interval | None
  effect: float | None
  noise: float | None
  p: float | None
  corrected_p: float | None
  comparisons: int
  seeds_needed: int | None
  margin: float | None = None
  equivalent_p: float | None = None
  equivalent_interval: Interval | None = None
  bootstrap: Mapping[str, Interval] = dataclasses.field(default_factory=dict)

  def to_json(self) -> dict[str, Any]:
    """Return the fields, the conclusion and the sentence as JSON values."""
    return {
      **super().to_json(),
      "conclusion": self.conclusion,
      "sentence": self.sentence,
    }

  @property
  def conclusion(self) -> Conclusion:
    """What the numbers say; a difference may still be within the margin."""
    if self.corrected_p is None:
      return "no spread"
    if self.corrected_p < _ALPHA:
      return "different"
    if self.equivalent_p is not None and self.equivalent_p < _ALPHA:
      return "equivalent"
    return "undecided"

  @property
  def sentence(self) -> str:
    """The conclusion in one sentence, with its numbers."""
    return _SENTENCES[self.conclusion](self)


def compare(
  values: Mapping[int, float],
  baseline: Mapping[int, float],
  *,
  name: str,
  baseline_name: str,
  metric: str,
  margin: float | None = None,
  by_example: ArrayLike | Scored | None = None,
) -> Comparison:
  """Compare runs with a baseline by seed, as the only comparison.

  Args:
    values: {seed: value}.
    baseline: {seed: value} of the same seeds.
    name: what `values` are of.
    baseline_name: what `baseline` is of.
    metric: name of the metric.
    margin: the largest difference that does not matter, stated before the
      results are known; None judges no equivalence.
    by_example: differences of single test examples for a bootstrap, of shape
      [seeds, examples], in the order of the seeds; their means by seed are
      those of the metric. Or what computes the differences of the metric for
      any draw of examples.

  Raises:
    ValueError: the two have different seeds, or the margin is not positive.
  """
  differences = paired(values, baseline)
  mean, std, found = differences.mean, differences.std, differences.values
  effect = mean / std if std and have_spread(found) else None
  base = summarize([*baseline.values()])
  return Comparison(
    name=name,
    baseline=baseline_name,
    metric=metric,
    differences=found,
    mean=mean,
    std=std,
    interval=student(found),
    # With two seeds the standardized effect has no mean to correct.
    effect=effect * _hedges(len(found) - 1)
    if effect and len(found) > 2
    else None,
    noise=mean / base.std if base.std else None,
    p=p_different(found),
    corrected_p=p_different(found),
    comparisons=1,
    seeds_needed=seeds_needed(effect) if effect else None,
    margin=margin,
    equivalent_p=None if margin is None else p_equivalent(found, margin),
    equivalent_interval=(
      None if margin is None else student(found, 1 - 2 * _ALPHA)
    ),
    bootstrap=_bootstrap(found, by_example),
  )


def correct(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
  """Return comparisons that were made together, corrected for their number.

  Give all that were looked at, of all arms and metrics: the best one of many is
  often good by chance. By Holm's correction; intervals stay those of one.
  """
  p_values = [each.p for each in comparisons if each.p is not None]
  corrected = iter(holm(p_values))
  return tuple(
    dataclasses.replace(
      each,
      corrected_p=None if each.p is None else next(corrected),
      comparisons=len(p_values) or len(comparisons),
    )
    for each in comparisons
  )


def _bootstrap(
  by_seed: Sequence[float], by_example: ArrayLike | Scored | None
) -> dict[str, Interval]:
  if by_example is None:
    if len(by_seed) < 2:
      return {}
    values_S1 = np.asarray(by_seed, np.float64)[:, None]
    return {"seeds": bootstrap(values_S1, "seeds", draws=_DRAWS)}
  if isinstance(by_example, Scored):
    several = by_example.seeds > 1
  else:
    several = len(np.asarray(by_example)) > 1
  kinds: tuple[Over, ...] = ("seeds", "examples", "both")
  return {
    over: bootstrap_score(by_example, over, draws=_DRAWS)
    if isinstance(by_example, Scored)
    else bootstrap(by_example, over, draws=_DRAWS)
    for over in (kinds if several else kinds[1:2])
  }


def _hedges(freedom: int) -> float:
  """Return the factor that makes a standardized effect unbiased.

  Hedges (1981), "Distribution theory for Glass's estimator of effect size".
  """
  return math.exp(
    float(special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2))
  ) / math.sqrt(freedom / 2)


def _no_spread(found: Comparison) -> str:
  seeds = len(found.differences)
  if seeds > 1:
    return (
      f"{found.name} has {_direction(found)} with each of {seeds} seeds: "
      "without spread there is no telling how far chance reaches"
    )
  return (
    f"{found.name} has {_direction(found)} with one seed: a difference without "
    "spread, of which a part or all may be chance"
  )


def _different(found: Comparison) -> str:
  text = f"{found.name} has {_direction(found)} ({_numbers(found)})"
  margin = found.margin
  if margin is not None and found.equivalent_p is not None:
    within = found.equivalent_p < _ALPHA
    text += f", which is {'' if within else 'not shown to be '}within the "
    text += f"margin of {margin:g}"
  return text


def _equivalent(found: Comparison) -> str:
  return (
    f"{found.name} and {found.baseline} are equivalent in "
    f"{_words(found.metric)} within ±{found.margin:g}: the difference is "
    f"{found.mean:+.3g} (90 % interval {found.equivalent_interval}, "
    f"{len(found.differences)} seeds, two one-sided tests "
    f"{_p(found.equivalent_p)})"
  )


def _undecided(found: Comparison) -> str:
  seeds = len(found.differences)
  text = (
    f"{found.name} and {found.baseline} are not distinguishable in "
    f"{_words(found.metric)} with {seeds} seeds: the difference is "
    f"{found.mean:+.3g} ({_numbers(found)})"
  )
  if found.seeds_needed is not None:
    about = f"about {max(found.seeds_needed, seeds + 1):,}"
  elif found.mean:
    about = f"more than {MOST_SEEDS:,}"
  else:
    return text
  return (
    f"{text}; {about} would be needed to find it in {POWER:.0%} of studies, if "
    "it is as large as measured"
  )


_SENTENCES = {
  "no spread": _no_spread,
  "different": _different,
  "equivalent": _equivalent,
  "undecided": _undecided,
}


def _direction(found: Comparison) -> str:
  metric = _words(found.metric)
  if not found.mean:
    return f"the same {metric} as {found.baseline}"
  side = "higher" if found.mean > 0 else "lower"
  return f"a {side} {metric} than {found.baseline} by {abs(found.mean):.3g}"


def _numbers(found: Comparison) -> str:
  parts = [
    f"95 % interval {found.interval}",
    f"{len(found.differences)} seeds",
    _p(found.corrected_p),
  ]
  if found.comparisons > 1:
    parts[-1] += f" after Holm's correction for {found.comparisons} comparisons"
  return ", ".join(parts)


def _p(value: float | None) -> str:
  if value is None:
    return "no p"
  return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def _words(metric: str) -> str:
  return metric.replace("_", " ")
