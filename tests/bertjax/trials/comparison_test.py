# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a comparison says of its numbers, in one sentence."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from bertjax.trials.comparison import Comparison, compare, correct

BASE = {0: 0.80, 1: 0.82, 2: 0.78, 3: 0.81, 4: 0.79}


def made(differences, margin=None, metric="dev_accuracy"):
  seeds = dict(enumerate(differences))
  baseline = {seed: BASE[seed] for seed in seeds}
  return compare(
    {seed: baseline[seed] + by for seed, by in seeds.items()},
    baseline,
    name="nsp",
    baseline_name="off",
    metric=metric,
    margin=margin,
  )


def test_a_difference_beyond_the_noise_is_one():
  found = made([0.020, 0.022, 0.018, 0.021, 0.019])
  assert found.conclusion == "different"
  assert found.sentence == (
    "nsp has a higher dev accuracy than off by 0.02 (95 % interval +0.018 to "
    "+0.022, 5 seeds, p < 0.001)"
  )
  assert found.p == pytest.approx(
    stats.ttest_1samp(found.differences, 0)[1], rel=1e-6
  )


def test_a_difference_in_the_noise_says_how_many_seeds_it_needs():
  found = made([0.010, -0.008, 0.006, -0.004, 0.005], metric="loss")
  assert found.conclusion == "undecided"
  assert found.seeds_needed is not None
  assert found.seeds_needed > 5
  assert found.sentence == (
    "nsp and off are not distinguishable in loss with 5 seeds: the difference "
    "is +0.0018 (95 % interval -0.00751 to +0.0111, 5 seeds, p = 0.62); about "
    f"{found.seeds_needed} would be needed to find it in 80% of studies, if it "
    "is as large as measured"
  )


def test_one_seed_is_said_to_have_no_spread():
  found = made([-0.05])
  assert found.conclusion == "no spread"
  assert found.sentence == (
    "nsp has a lower dev accuracy than off by 0.05 with one seed: a difference "
    "without spread, of which a part or all may be chance"
  )
  assert (found.interval, found.effect, found.noise, found.p) == (None,) * 4


def test_seeds_that_all_differ_by_as_much_have_no_spread_either():
  found = made([0.91 - 0.9, 0.81 - 0.8, 0.71 - 0.7])
  assert (found.conclusion, found.p, found.effect) == ("no spread", None, None)
  assert found.seeds_needed is None
  assert "by 0.01 with each of 3 seeds: without spread" in found.sentence


def test_a_small_difference_is_equivalent_only_within_a_stated_margin():
  differences = [0.001, -0.001, 0.002, -0.002, 0.001]
  assert made(differences).conclusion == "undecided"
  found = made(differences, margin=0.01)
  assert found.conclusion == "equivalent"
  assert found.sentence.startswith(
    "nsp and off are equivalent in dev accuracy within ±0.01: the difference "
    "is +0.0002 (90 % interval -0.0"
  )
  assert made(differences, margin=0.001).conclusion == "undecided"


def test_a_clear_difference_may_be_too_small_to_matter():
  clear = [0.0020, 0.0022, 0.0018, 0.0021, 0.0019]
  assert "which is within the margin of 0.01" in made(clear, 0.01).sentence
  assert "not shown to be within" in made(clear, 0.002).sentence


def test_the_effect_is_measured_against_both_kinds_of_noise():
  found = made([0.020, 0.010, 0.015])
  mean, std = np.mean(found.differences), np.std(found.differences, ddof=1)
  # Hedges (1981), table 1: the factor of two degrees of freedom is 0.5642.
  assert found.effect == pytest.approx(mean / std * 0.5642, rel=1e-4)
  assert found.noise == pytest.approx(mean / np.std([0.80, 0.82, 0.78], ddof=1))
  assert made([0.020, 0.010]).effect is None


def test_equal_runs_are_not_told_apart_by_more_seeds():
  found = made([0.0, 0.0, 0.0])
  assert found.conclusion == "undecided"
  assert found.seeds_needed is None
  assert "would be needed" not in found.sentence


def test_a_correction_counts_all_comparisons_that_have_spread():
  clear = made([0.020, 0.028, 0.008, 0.016, 0.024])
  assert clear.conclusion == "different"
  weak = made([0.010, -0.008, 0.006, -0.004, 0.005])
  first, *others = correct([clear, *[weak] * 19, made([0.1])])
  assert first.comparisons == 20
  assert clear.p is not None
  assert first.corrected_p == pytest.approx(20 * clear.p)
  assert first.conclusion == "undecided"
  assert "after Holm's correction for 20 comparisons" in first.sentence
  assert others[-1].corrected_p is None
  assert first.interval == clear.interval


def test_a_comparison_survives_json_with_its_sentence():
  found = made([0.010, -0.008, 0.006], margin=0.1)
  saved = found.to_json()
  assert saved["sentence"] == found.sentence
  assert saved["conclusion"] == found.conclusion
  assert Comparison.from_json(saved) == found
  alone = dataclasses.replace(made([0.1]))
  assert Comparison.from_json(alone.to_json()) == alone


def test_other_seeds_are_refused():
  with pytest.raises(ValueError, match="cannot be paired"):
    compare({0: 1.0}, {1: 1.0}, name="a", baseline_name="b", metric="loss")


def test_values_of_examples_add_intervals_over_them():
  rng = np.random.default_rng(0)
  values_SN = rng.normal(0.02, 0.1, (3, 400)) + rng.normal(0, 0.01, (3, 1))
  means = dict(enumerate(values_SN.mean(axis=1).tolist()))

  def found(seeds):
    return compare(
      {seed: means[seed] for seed in seeds},
      dict.fromkeys(seeds, 0.0),
      name="nsp",
      baseline_name="off",
      metric="accuracy",
      by_example=values_SN[list(seeds)],
    )

  several = found(range(3))
  assert several.bootstrap.keys() == {"seeds", "examples", "both"}
  assert all(several.mean in each for each in several.bootstrap.values())
  assert Comparison.from_json(several.to_json()) == several
  assert found([0]).bootstrap.keys() == {"examples"}


def test_a_loss_is_drawn_over_its_seeds():
  """It has no value for a single test example, and other seeds it has."""
  found = compare(
    {0: 1.0, 1: 1.2, 2: 1.7},
    {0: 0.9, 1: 1.0, 2: 1.0},
    name="a",
    baseline_name="b",
    metric="loss",
  )
  assert {*found.bootstrap} == {"seeds"}
  drawn = found.bootstrap["seeds"]
  assert drawn.low == pytest.approx(0.1)  # one of 27 draws has one seed alone
  assert drawn.high == pytest.approx(0.7)
  alone = compare(
    {0: 1.0}, {0: 0.9}, name="a", baseline_name="b", metric="loss"
  )
  assert alone.bootstrap == {}
