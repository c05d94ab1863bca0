# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy import stats

from bertjax.finetune import scores


def test_correlations_are_those_of_scipy():
  draws = np.random.default_rng(0)
  for _ in range(300):
    count = int(draws.integers(2, 12))
    digits = int(draws.integers(0, 3))  # few digits make ties
    x_N = draws.normal(size=count).round(digits)
    y_N = (x_N + draws.normal(size=count)).round(digits)
    if not (np.ptp(x_N) and np.ptp(y_N)):
      continue
    assert scores.pearson(x_N, y_N) == pytest.approx(
      stats.pearsonr(x_N, y_N)[0], abs=1e-12
    )
    assert scores.spearman(x_N, y_N) == pytest.approx(
      stats.spearmanr(x_N, y_N)[0], abs=1e-12
    )


def test_a_line_is_one_at_any_scale():
  x_N = np.asarray([1e-200, 2e-200, 5e-200])
  for factor in (1.0, 1e200, -3.0):
    assert scores.pearson(x_N, factor * x_N) == pytest.approx(np.sign(factor))
  x_N = np.arange(6, dtype=np.float32)
  assert scores.spearman(x_N, np.exp(x_N)) == pytest.approx(1)


@pytest.mark.parametrize("score", [scores.pearson, scores.spearman])
def test_equal_scores_correlate_with_nothing(score):
  x_N = np.asarray([1.0, 2, 3])
  same_N = np.full(3, 0.1)  # whose mean is not 0.1
  assert score(x_N, same_N) == score(same_N, x_N) == 0
  assert score(x_N[:1], x_N[:1]) == 0


@pytest.mark.parametrize("score", [scores.pearson, scores.spearman])
def test_no_example_is_refused(score):
  with pytest.raises(ValueError, match="no examples"):
    score(np.zeros(0), np.zeros(0))
  with pytest.raises(ValueError, match="have 2 and 3 examples"):
    score(np.zeros(2), np.zeros(3))
