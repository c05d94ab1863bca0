# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The expected best of n runs."""

import itertools

import numpy as np
import pytest

from bertjax.trials.best_of import expected_best, expected_bests

VALUES = (0.71, 0.64, 0.75, 0.70, 0.58)


@pytest.mark.parametrize("runs", [1, 2, 3, 4, 5])
def test_it_is_the_mean_best_of_all_choices(runs):
  choices = [max(each) for each in itertools.combinations(VALUES, runs)]
  assert expected_best(VALUES, runs) == pytest.approx(np.mean(choices))


def test_one_run_has_the_mean_and_all_runs_have_the_best():
  found = expected_bests(VALUES)
  assert found[0] == pytest.approx(np.mean(VALUES))
  assert found[-1] == max(VALUES)
  assert list(found) == sorted(found)


def test_it_is_unbiased():
  """The best of two normal values is 1/√π above their mean."""
  studies = np.random.default_rng(0).normal(size=(4_000, 5))
  found = np.mean([expected_best(list(each), 2) for each in studies])
  assert found == pytest.approx(1 / np.sqrt(np.pi), abs=0.03)


@pytest.mark.parametrize("runs", [0, 6])
def test_the_best_of_more_runs_than_there_are_is_not_known(runs):
  with pytest.raises(ValueError, match=f"runs={runs} of 5"):
    expected_best(VALUES, runs)
