# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""P-values are those of scipy and of tables."""

import numpy as np
import pytest
from scipy import stats

from bertjax.trials.intervals import student
from bertjax.trials.significance import holm, p_different, p_equivalent
from tests.bertjax.trials.intervals_test import SLEEP


def test_the_p_value_of_the_sleep_data_is_rs():
  """R: `t.test(extra ~ group, sleep, paired = TRUE)` has p = 0.002833."""
  assert p_different(SLEEP) == pytest.approx(0.002833, abs=5e-7)
  assert p_different([-each for each in SLEEP]) == p_different(SLEEP)


def test_equivalence_is_two_one_sided_tests():
  values = [0.01, -0.02, 0.005, 0.012, -0.001]
  margin = 0.02
  _, above = stats.ttest_1samp(values, -margin, alternative="greater")
  _, below = stats.ttest_1samp(values, margin, alternative="less")
  expected = np.max([above, below])
  assert p_equivalent(values, margin) == pytest.approx(expected)


def test_equivalence_at_5_percent_is_a_90_percent_interval_in_the_margin():
  rng = np.random.default_rng(2)
  for values in rng.normal(0.01, 0.02, (200, 4)):
    found = student(values, 0.9)
    p = p_equivalent(values, 0.03)
    assert found is not None
    assert p is not None
    assert (p < 0.05) == found.is_within(0.03)


def test_holms_correction_is_that_of_r():
  """R: `p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")`."""
  np.testing.assert_allclose(
    holm([0.01, 0.02, 0.03, 0.04, 0.05]), [0.05, 0.08, 0.09, 0.09, 0.09]
  )
  np.testing.assert_allclose(
    holm([0.04, 0.005, 0.6, 0.01]), [0.08, 0.02, 0.6, 0.03]
  )
  assert holm([]) == ()


def test_of_many_arms_without_a_difference_one_in_twenty_studies_finds_any():
  rng = np.random.default_rng(4)
  studies = rng.normal(size=(1_000, 9, 5))
  found = [
    min(holm([p_different(arm) or 0.0 for arm in study])) < 0.05
    for study in studies
  ]
  assert 0.02 < np.mean(found) < 0.08


@pytest.mark.parametrize(
  "values",
  [[0.5, 0.5, 0.5], [-0.5, -0.5], [0.91 - 0.9, 0.81 - 0.8]],
)
def test_values_without_spread_have_no_p_value(values):
  """Values that are equal but for rounding have none either."""
  assert p_different(values) is None
  assert p_equivalent(values, 0.1) is None
  assert p_different([0.0, 0.0]) == 1


def test_one_value_has_no_p_value_and_a_margin_is_positive():
  assert p_different([0.5]) is None
  assert p_equivalent([0.5], 1) is None
  for margin in (0, -1, float("nan")):
    with pytest.raises(ValueError, match=f"margin={margin}"):
      p_equivalent([0.5, 0.6], margin)
