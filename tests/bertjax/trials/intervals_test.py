# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Intervals cover as often as they say, or are known to cover less."""

import math

import numpy as np
import pytest
from scipy import stats

from bertjax.trials.intervals import (
  Interval,
  bootstrap,
  student,
)

# Cushny and Peebles (1905), extra hours of sleep of ten patients with two
# drugs, the data of Student (1908): R's `t.test(sleep, paired = TRUE)` has the
# interval 0.7001142 to 2.4598858.
SLEEP = (1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4)
STUDIES = 2_000


def share_of_covered(intervals, mean):
  return np.mean([mean in each for each in intervals])


def test_a_bootstrap_of_means_is_scipys_by_the_same_draws():
  found = bootstrap(np.array(SLEEP)[:, None], "seeds", draws=3_000)
  theirs = stats.bootstrap(
    (SLEEP,),
    np.mean,
    n_resamples=3_000,
    method="percentile",
    rng=np.random.default_rng(0),
  ).confidence_interval
  np.testing.assert_allclose([found.low, found.high], theirs, rtol=1e-12)


def test_students_interval_of_the_sleep_data_is_rs():
  found = student(SLEEP)
  assert found is not None
  np.testing.assert_allclose(
    (found.low, found.high), (0.7001142, 2.4598858), atol=5e-8
  )


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_students_interval_covers_the_mean_as_often_as_it_says(seeds):
  studies = np.random.default_rng(seeds).normal(0.7, 2.0, (STUDIES, seeds))
  covered = share_of_covered(map(student, studies), 0.7)
  # Four standard errors of a share of 95 % in so many studies.
  assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / STUDIES)


@pytest.mark.parametrize(
  ("seeds", "share"), [(3, 0.76), (5, 0.83), (10, 0.91), (20, 0.92)]
)
def test_the_bootstrap_over_few_seeds_covers_less_than_it_says(seeds, share):
  """The module's docstring states by how much."""
  count = 600
  studies = np.random.default_rng(seeds).normal(0.7, 2.0, (count, seeds))
  found = [
    bootstrap(each[:, None], "seeds", draws=999, seed=number)
    for number, each in enumerate(studies)
  ]
  covered = share_of_covered(found, 0.7)
  assert abs(covered - share) < 4 * math.sqrt(share * (1 - share) / count)


@pytest.mark.parametrize(
  ("over", "expected"), [("both", 0.93), ("examples", 0.81), ("seeds", 0.79)]
)
def test_only_a_bootstrap_over_both_knows_both_spreads(over, expected):
  """Over one of the two, the spread of the other is left out."""
  rng = np.random.default_rng(5)
  count, seeds, examples = 400, 10, 200

  def study(number):
    of_seeds = rng.normal(0, 0.2, (seeds, 1))
    of_examples = rng.normal(0, 0.8, (1, examples))
    noise = rng.normal(0, 0.3, (seeds, examples))
    values_SN = 0.2 + of_seeds + of_examples + noise
    return bootstrap(values_SN, over, draws=500, seed=number)

  covered = share_of_covered(map(study, range(count)), 0.2)
  assert abs(covered - expected) < 0.06


@pytest.mark.parametrize("over", ["seeds", "examples", "both"])
@pytest.mark.parametrize("of_answers", [False, True])
def test_the_interval_is_that_of_drawing_seeds_and_examples_one_by_one(
  over, of_answers
):
  """Also of right and wrong answers, which are drawn by kinds."""
  rng = np.random.default_rng(3)
  values_SN = rng.normal(0.1, 1, (6, 40)) + rng.normal(0, 1, (6, 1))
  if of_answers:
    values_SN = np.sign(np.round(values_SN))
  quick = bootstrap(values_SN, over, draws=4_000)
  means = []
  for _ in range(4_000):
    seeds_S, chosen_N = (
      rng.integers(size, size=size)
      if over in (name, "both")
      else np.arange(size)
      for name, size in zip(("seeds", "examples"), values_SN.shape, strict=True)
    )
    means.append(values_SN[seeds_S][:, chosen_N].mean())
  low, high = np.quantile(means, (0.025, 0.975))
  width = quick.high - quick.low
  assert abs(quick.low - low) < 0.06 * width
  assert abs(quick.high - high) < 0.06 * width


def test_equal_arguments_give_equal_intervals():
  values_SN = np.random.default_rng(0).normal(size=(4, 30))
  for over in ("seeds", "examples", "both"):
    first = bootstrap(values_SN, over, draws=200)
    assert bootstrap(values_SN, over, draws=200) == first
    assert bootstrap(values_SN, over, draws=200, seed=1) != first


def test_one_value_cannot_be_drawn_from():
  assert student([0.5]) is None
  for over in ("seeds", "both"):
    with pytest.raises(ValueError, match="1 of seeds cannot"):
      bootstrap([[0.1, 0.2]], over)
  with pytest.raises(ValueError, match=r"shape \(2,\)"):
    bootstrap([0.1, 0.2], "seeds")


def test_an_interval_is_within_a_margin_with_both_ends():
  assert Interval(-0.5, 0.9).is_within(1)
  assert not Interval(-0.5, 1.1).is_within(1)
  assert not Interval(-1.5, 0.1).is_within(1)
  assert str(Interval(-0.5, 1.25)) == "-0.5 to +1.25"
