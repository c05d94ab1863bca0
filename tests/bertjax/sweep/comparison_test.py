# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json
import math

import numpy as np
import pytest

from bertjax.sweep.comparison import SweepResult, compare, table, verdicts

ARMS = ("mlm_nsp", "weightless", "mlm")


@pytest.fixture
def scores():
  rng = np.random.default_rng(0)
  return {
    arm: {
      seed: {
        "mlm_loss": float(rng.normal(4, 0.1)),
        "probe": float(rng.normal(0.5, 0.1)),
        **({"nsp_accuracy": 0.6} if arm == "mlm_nsp" else {}),
      }
      for seed in (3, 4, 5)
    }
    for arm in ARMS
  }


def test_a_comparison_is_paired_by_seed(scores):
  comparison = compare(scores, "mlm_nsp")
  assert set(comparison.arms) == set(ARMS)
  assert set(comparison.differences) == set(ARMS) - {"mlm_nsp"}
  for arm in ("weightless", "mlm"):
    for metric in ("mlm_loss", "probe"):
      values_N = [
        scores[arm][seed][metric] - scores["mlm_nsp"][seed][metric]
        for seed in (3, 4, 5)
      ]
      difference = comparison.differences[arm][metric]
      assert math.isclose(difference.mean, np.mean(values_N))
      assert math.isclose(difference.std or 0, np.std(values_N, ddof=1))
    assert "nsp_accuracy" not in comparison.differences[arm]
  assert comparison.arms["mlm_nsp"]["nsp_accuracy"].mean == 0.6
  saved = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
  assert SweepResult.from_json(saved) == comparison


def test_the_table_shows_every_arm_and_signed_differences(scores):
  comparison = compare(scores, "mlm_nsp")
  text = table(comparison)
  for arm in ARMS:
    assert f"| {arm} " in text
  mean = comparison.differences["mlm"]["probe"].mean
  assert f"{mean:+.4f} ± " in text
  assert "seed 3" in text
  by_seed = comparison.differences["mlm"]["probe"].values
  assert " | ".join(f"{value:+.4f}" for value in by_seed) in " ".join(
    text.split()
  )
  assert "–" in text


def test_a_study_of_one_seed_has_a_table(scores):
  one = {arm: {3: by_seed[3]} for arm, by_seed in scores.items()}
  cells = [
    line
    for line in table(compare(one, "mlm_nsp")).splitlines()
    if line.startswith(("| mlm ", "| mlm_nsp ", "| weightless "))
  ]
  assert len(cells) == 7
  assert not any("±" in line for line in cells)


def test_a_difference_has_an_interval_of_its_mean(scores):
  comparison = compare(scores, "mlm_nsp")
  difference = comparison.differences["mlm"]["probe"]
  half = 4.302653 * (difference.std or 0) / math.sqrt(3)
  low, high = difference.mean - half, difference.mean + half
  text = table(comparison)
  assert f"{low:+.4f} to {high:+.4f}" in text
  assert "Mean ± standard deviation" in text
  np.testing.assert_allclose(
    comparison.to_json()["intervals_95"]["mlm"]["probe"], [low, high], rtol=1e-6
  )


def test_arms_of_equal_rows_can_be_compared_by_their_losses(scores):
  text = table(compare(scores, "mlm_nsp"), [["mlm_nsp", "weightless"], ["mlm"]])
  assert "The arms mlm_nsp, weightless have the same validation rows" in text
  assert "arms mlm " not in text


def test_each_difference_has_a_verdict_that_counts_all_of_them(scores):
  result = compare(scores, "mlm_nsp")
  found = verdicts(result, [["mlm_nsp", "weightless"], ["mlm"]])
  # Losses on other rows do not compare.
  assert [(each.name, each.metric) for each in found] == [
    ("weightless", "mlm_loss"),
    ("weightless", "probe"),
    ("mlm", "probe"),
  ]
  for each in found:
    difference = result.differences[each.name][each.metric]
    assert each.differences == difference.values
    assert each.comparisons == 3
  assert [each.metric for each in verdicts(result)] == ["probe", "probe"]
  text = table(result, (), found)
  assert [f"- {each.sentence}." for each in found] == [
    line for line in text.splitlines() if line.startswith("- ")
  ]
