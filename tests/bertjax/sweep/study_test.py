# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from bertjax.config import (
  PretrainConfig,
  SweepConfig,
  check_read,
  flatten_fields,
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
  base = flatten_fields(to_mapping(study.pretrain_config(CONFIG, "mlm_nsp", 3)))
  for arm in ("weightless", "mlm"):
    other = flatten_fields(to_mapping(study.pretrain_config(CONFIG, arm, 3)))
    changed = {name for name in base if base[name] != other[name]}
    (field,) = ARMS[arm]["objective"]
    assert changed == {f"objective.{field}"}


def test_an_arm_may_change_any_field_of_a_run_and_of_its_probe():
  arms = {**ARMS, "longer": {"steps": 7, "finetune": {"epochs": 2.0}}}
  config = dataclasses.replace(CONFIG, arms=arms)
  trial = study.make_trials(config)[3]
  assert trial.settings == {"arm": "longer", "seed": 3, **arms["longer"]}
  assert study.pretrain_config(config, "longer", 3).steps == 7
  assert study.finetune_config(config, "longer", 3).epochs == 2
  assert study.finetune_config(config, "mlm", 3) == config.finetune


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


def test_arms_of_equal_rows_are_grouped():
  groups = study.equal_rows(CONFIG)
  assert groups == [["mlm_nsp", "weightless"], ["mlm"]]


def test_rows_are_those_of_the_last_phase():
  arms = {
    "a": {"phase2": {"steps": 1, "seq_length": 32}},
    "b": {"phase2": {"steps": 1, "seq_length": 64}},
    "c": {"data": {"seq_length": 64}, "phase2": {"steps": 1, "seq_length": 64}},
  }
  config = dataclasses.replace(CONFIG, arms=arms, baseline="a")
  assert study.equal_rows(config) == [["a"], ["b", "c"]]


def test_the_default_config_of_an_arm_is_a_pretraining_run():
  assert isinstance(study.pretrain_config(CONFIG, "mlm", 0), PretrainConfig)
