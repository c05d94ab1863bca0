# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Mean and spread over seeds, and differences seed by seed."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bertjax.trials.intervals import student
from bertjax.trials.markdown import cell
from bertjax.trials.results import JsonResult


@dataclasses.dataclass(frozen=True)
class Summary(JsonResult):
  """Values of several seeds.

  Attributes:
    mean: mean of the values.
    std: sample standard deviation (ddof 1); None for a single value.
    values: the values, in the order of the seeds.
  """

  mean: float
  std: float | None
  values: tuple[float, ...]

  def __str__(self) -> str:
    return cell(vars(self))

  def interval(self) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the mean; None for one value.

    By Student's t, as for values that are drawn from a normal distribution.
    """
    found = student(self.values)
    return None if found is None else (found.low, found.high)


def summarize(values: Sequence[float]) -> Summary:
  """Summarize the values of several seeds.

  Raises:
    ValueError: `values` is empty.
  """
  if not values:
    raise ValueError("no values to summarize; give one for each seed")
  values_N = np.asarray(values, np.float64)
  return Summary(
    mean=float(values_N.mean()),
    std=float(values_N.std(ddof=1)) if len(values_N) > 1 else None,
    values=tuple(values_N.tolist()),
  )


def paired(
  values: Mapping[int, float], baseline: Mapping[int, float]
) -> Summary:
  """Summarize value − baseline, paired by seed.

  Runs of one seed share data order and initial parameters, so the paired
  difference varies less than the difference of two means.

  Raises:
    ValueError: the two have different seeds.
  """
  if values.keys() != baseline.keys():
    raise ValueError(
      f"seeds {sorted(values)} cannot be paired with seeds {sorted(baseline)}; "
      "run both arms on the same seeds"
    )
  return summarize([values[seed] - baseline[seed] for seed in sorted(values)])


def name_seeds(seeds: Iterable[int | str]) -> str:
  """Return `seed 0`, or `seeds 0, 1`."""
  names = [*map(str, seeds)]
  return f"{'seed' if len(names) == 1 else 'seeds'} {', '.join(names)}"
