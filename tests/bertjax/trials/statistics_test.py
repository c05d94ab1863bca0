# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from scipy import stats

from bertjax.trials.statistics import name_seeds, paired, summarize


def test_mean_and_std_are_numpys_with_ddof_1():
  values_N = np.random.default_rng(0).normal(0.4, 0.02, 5)
  summary = summarize(list(values_N))
  assert math.isclose(summary.mean, np.mean(values_N))
  assert math.isclose(summary.std or 0, np.std(values_N, ddof=1))
  assert summary.values == tuple(values_N)
  assert str(summarize([0.5, 0.7])) == "0.6000 ± 0.1414"


def test_one_value_has_no_spread():
  summary = summarize([0.5])
  assert summary.to_json() == {"mean": 0.5, "std": None, "values": [0.5]}
  assert str(summary) == "0.5000"


def test_no_value_is_refused():
  with pytest.raises(ValueError, match="no values"):
    summarize([])


def test_paired_differences_are_seed_by_seed():
  rng = np.random.default_rng(1)
  base_N, gain_N = rng.normal(0, 10, 6), rng.normal(1, 0.1, 6)
  # The order in which seeds were run says nothing.
  values = {seed: base_N[seed] + gain_N[seed] for seed in reversed(range(6))}
  baseline = {seed: base_N[seed] for seed in range(6)}
  summary = paired(values, baseline)
  np.testing.assert_allclose(summary.values, gain_N)
  assert math.isclose(summary.mean, np.mean(gain_N))
  assert math.isclose(summary.std or 0, np.std(gain_N, ddof=1))


def test_unpaired_seeds_are_refused():
  with pytest.raises(ValueError, match=r"\[0, 1\] .*\[0, 2\]"):
    paired({0: 1.0, 1: 1.0}, {0: 1.0, 2: 1.0})


@pytest.mark.parametrize("count", [2, 3, 5, 11, 12, 30, 300])
def test_the_interval_of_the_mean_is_students(count):
  values_N = np.random.default_rng(count).normal(0.4, 0.02, count)
  expected = stats.t.interval(
    0.95, count - 1, np.mean(values_N), stats.sem(values_N)
  )
  found = summarize(list(values_N)).interval()
  assert found is not None
  np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_one_value_has_no_interval():
  assert summarize([0.5]).interval() is None


def test_seeds_are_named():
  assert name_seeds([0]) == "seed 0"
  assert name_seeds(["0", "2"]) == "seeds 0, 2"
