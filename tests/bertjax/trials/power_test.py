# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The number of seeds that a difference needs."""

import numpy as np
import pytest
from scipy import stats

from bertjax.trials.power import POWER, power, seeds_needed


@pytest.mark.parametrize(
  ("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10), (-0.5, 34)]
)
def test_the_pairs_are_those_of_tables(effect, pairs):
  """As G*Power and R's `pwr.t.test(type = "paired")` have them."""
  assert seeds_needed(effect) == pairs


@pytest.mark.parametrize("effect", [0.05, 0.1, 0.3])
def test_small_effects_need_what_the_normal_distribution_says(effect):
  z = stats.norm.ppf(0.975) + stats.norm.ppf(POWER)
  assert seeds_needed(effect) == pytest.approx((z / effect) ** 2 + 2, abs=1)


def test_power_is_the_share_of_studies_that_find_the_effect():
  studies = np.random.default_rng(0).normal(0.9, 1, (4_000, 8))
  p_values = np.asarray(stats.ttest_1samp(studies, 0, axis=1)[1])
  found = np.mean(p_values < 0.05)
  assert power(0.9, 8) == pytest.approx(found, abs=0.03)
  assert power(0, 8) == pytest.approx(0.05)


def test_the_fewest_seeds_are_two_and_too_many_are_none():
  assert seeds_needed(50) == 2
  assert seeds_needed(0.01) is None
  assert seeds_needed(0) is None
