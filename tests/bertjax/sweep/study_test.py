# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
import math

import numpy as np
import pytest

from bertjax.config import (
  PretrainConfig,
  SweepConfig,
  check_read,
  from_mapping,
  to_mapping,
)
from bertjax.sweep import study

ARMS = {
  "mlm_nsp": {"objective": {"next_sentence": "nsp"}},
  "weightless": {"objective": {"next_sentence_weight": 0.0}},
  "mlm": {"objective": {"next_sentence": "off"}},
}
CONFIG = SweepConfig(arms=ARMS, baseline="mlm_nsp", seed=3, seeds=2)


def flat(mapping, prefix=""):
  found = {}
  for name, value in mapping.items():
    if isinstance(value, dict):
      found |= flat(value, f"{prefix}{name}.")
    else:
      found[prefix + name] = value
  return found


def test_a_trial_for_every_arm_and_seed_with_whole_comparisons_first():
  trials = study.make_trials(CONFIG)
  assert [trial.name for trial in trials] == [
    "mlm_nsp-seed3",
    "weightless-seed3",
    "mlm-seed3",
    "mlm_nsp-seed4",
    "weightless-seed4",
    "mlm-seed4",
  ]
  assert [t.settings["seed"] for t in trials] == [3] * 3 + [4] * 3
  assert trials[2].settings["objective"] == {"next_sentence": "off"}


def test_arms_differ_in_the_objective_only():
  assert study.pretrain_config(CONFIG, "mlm", 4).seed == 4
  base = flat(to_mapping(study.pretrain_config(CONFIG, "mlm_nsp", 3)))
  for arm in ("weightless", "mlm"):
    other = flat(to_mapping(study.pretrain_config(CONFIG, arm, 3)))
    changed = {name for name in base if base[name] != other[name]}
    (field,) = ARMS[arm]["objective"]
    assert changed == {f"objective.{field}"}


def test_an_arm_that_changes_more_is_refused():
  arms = {**ARMS, "longer": {"steps": 7}}
  with pytest.raises(ValueError, match="arm longer changes steps"):
    study.make_trials(dataclasses.replace(CONFIG, arms=arms))


def test_a_misspelt_field_is_refused():
  arms = {**ARMS, "typo": {"objective": {"next_sentense": "off"}}}
  with pytest.raises(ValueError, match=r"objective.next_sentense is no field"):
    study.make_trials(dataclasses.replace(CONFIG, arms=arms))


@pytest.mark.parametrize(
  ("changes", "word"),
  [
    ({"baseline": "none"}, "baseline='none'"),
    ({"arms": {"mlm_nsp": {}}}, "two arms"),
    ({"seeds": 0}, "seeds=0"),
  ],
)
def test_a_sweep_that_compares_nothing_is_refused(changes, word):
  with pytest.raises(ValueError, match=word):
    study.make_trials(dataclasses.replace(CONFIG, **changes))


def with_base(**objective):
  base = from_mapping(PretrainConfig, {"objective": objective})
  return dataclasses.replace(CONFIG, pretrain=base)


def test_a_base_may_hold_a_field_that_some_arm_reads():
  config = with_base(next_sentence_weight=0.5)
  study.make_trials(config)
  runs = {arm: study.pretrain_config(config, arm, 3) for arm in ARMS}
  weights = {arm: runs[arm].objective.next_sentence_weight for arm in ARMS}
  assert weights == {"mlm_nsp": 0.5, "weightless": 0.0, "mlm": 1.0}
  for run in runs.values():
    check_read(run)


def test_a_field_that_no_arm_reads_is_refused():
  config = with_base(random_token_rate=0.0, random_tokens="all")
  with pytest.raises(ValueError, match="random_tokens=all is read only with"):
    study.make_trials(config)
  seeded = dataclasses.replace(CONFIG.pretrain, seed=7)
  with pytest.raises(ValueError, match="seed=7 has no effect"):
    study.make_trials(dataclasses.replace(CONFIG, pretrain=seeded))


def test_a_field_that_an_arm_gives_itself_stays_to_be_refused():
  arms = {
    **ARMS,
    "odd": {"objective": {"next_sentence": "off", "next_sentence_weight": 0.3}},
  }
  config = dataclasses.replace(CONFIG, arms=arms)
  with pytest.raises(ValueError, match=r"weight=0\.3 is read only"):
    check_read(study.pretrain_config(config, "odd", 3))


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
  comparison = study.compare(scores, "mlm_nsp")
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
  assert study.SweepResult.from_json(saved) == comparison


def test_the_table_shows_every_arm_and_signed_differences(scores):
  comparison = study.compare(scores, "mlm_nsp")
  text = study.table(comparison)
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
    for line in study.table(study.compare(one, "mlm_nsp")).splitlines()
    if line.startswith(("| mlm ", "| mlm_nsp ", "| weightless "))
  ]
  assert len(cells) == 7
  assert not any("±" in line for line in cells)


def test_a_difference_has_an_interval_of_its_mean(scores):
  comparison = study.compare(scores, "mlm_nsp")
  difference = comparison.differences["mlm"]["probe"]
  half = 4.3027 * (difference.std or 0) / math.sqrt(3)
  low, high = difference.mean - half, difference.mean + half
  text = study.table(comparison)
  assert f"{low:+.4f} to {high:+.4f}" in text
  assert "Mean ± standard deviation" in text
  np.testing.assert_allclose(
    comparison.to_json()["intervals_95"]["mlm"]["probe"], [low, high], rtol=1e-6
  )


def test_arms_of_equal_rows_can_be_compared_by_their_losses(scores):
  groups = study.equal_rows(CONFIG)
  assert groups == [["mlm_nsp", "weightless"], ["mlm"]]
  text = study.table(study.compare(scores, "mlm_nsp"), groups)
  assert "The arms mlm_nsp, weightless have the same validation rows" in text
  assert "arms mlm " not in text


def test_the_default_config_of_an_arm_is_a_pretraining_run():
  assert isinstance(study.pretrain_config(CONFIG, "mlm", 0), PretrainConfig)
