# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the trials of a study warned of, from what they have written."""

import dataclasses
import json

import pytest

from bertjax.sweep import study
from bertjax.trials.store import Trial, TrialStore
from launch.run.findings import RunFindings, write_findings
from launch.sweep.findings import FINDINGS, keep_findings, study_findings
from tests.testing import studies
from tests.testing.arm_results import make_found
from tests.testing.launchers import make_arm_result

EPOCHS, SHARED = make_found("epochs"), make_found()
NEVER = make_found("never_predicted")
TASKS = {"tasks": {"rte": {}, "cola": {}}, "at": (0.5, 1.0)}


def tune(folder, *found, without=()):
  """Write the results of a fine-tuning run that warned of these."""
  result = dataclasses.replace(make_arm_result(0.5), findings=found)
  saved = {n: v for n, v in result.to_json().items() if n not in without}
  folder.mkdir(parents=True)
  (folder / "results.json").write_text(json.dumps(saved))


def pretrain(folder, *found):
  (folder / "pretrain").mkdir(parents=True)
  write_findings(folder / "pretrain", RunFindings(4, found))


def sentences(told):
  return [text for each in told.findings for text in each.sentences]


@pytest.fixture
def opened(tmp_path):
  config = studies.make_config(arms=("mlm_nsp", "mlm"), seeds=1, probes=TASKS)
  trials = study.make_trials(config)
  return config, TrialStore(tmp_path, {}), trials


def test_every_part_of_a_trial_is_told_and_what_the_end_has_once(opened):
  config, store, (first, second) = opened
  steps = study.pretrain_config(config, "mlm", 0).steps
  folder = store.path(first)
  pretrain(folder, EPOCHS)
  for step in (steps // 2, steps):
    early = (NEVER,) if step < steps else ()
    tune(folder / f"probes/step_{step}/rte", SHARED, *early)
    tune(folder / f"probes/step_{step}/cola")
  arm = first.settings["arm"]
  expected = [
    f"Pre-training in all trials: {EPOCHS.line}.",
    f"Probe rte in all trials: {SHARED.line}.",
    f"Probe rte at step {steps // 2:,} in all trials: {NEVER.line}.",
  ]
  # A trial that is not done has said it all the same, and not that which has
  # not begun.
  told = study_findings(config, store, [first, second], {})
  assert sentences(told) == expected
  # A result says it where the files are gone.
  kept = keep_findings(config, first, folder)
  empty = TrialStore(store.folder / "elsewhere", {})
  results = {arm: {0: {"loss": 1.0, **kept}}, "mlm": {0: {FINDINGS: []}}}
  told = study_findings(config, empty, [first, second], results)
  in_first = [text.replace("all trials", f"arm {arm}") for text in expected]
  assert sentences(told) == in_first
  assert told.missing == []


def test_a_fix_has_the_flags_of_a_study(opened):
  config, store, (first, _) = opened
  fewer = dataclasses.replace(EPOCHS, fix="give fewer --config.steps")
  pretrain(store.path(first), fewer)
  tune(store.path(first) / "finetune", fewer)
  plain = dataclasses.replace(config, probes=type(config.probes)())
  told = study_findings(plain, store, [first], {})
  assert [each.variants[0].found.fix for each in told.findings] == [
    "give fewer --config.pretrain.steps",
    "give fewer --config.finetune.steps",
  ]


def test_trials_of_earlier_versions_are_counted_and_not_silent(opened):
  config, store, trials = opened
  pretrain(store.path(trials[0]), EPOCHS)
  assert keep_findings(config, trials[0], store.path(trials[0])) == {}
  results = {each.settings["arm"]: {0: {}} for each in trials}
  told = study_findings(config, store, trials, results)
  assert sentences(told) == [
    f"Pre-training in arm {trials[0].settings['arm']}: {EPOCHS.line}."
  ]
  (note,) = told.missing
  assert all(each.name in note for each in trials)


@pytest.mark.parametrize("without", [(), ("findings",)])
def test_a_study_of_fine_tuning_tells_what_its_trials_wrote(
  config, tmp_path, without
):
  given = dataclasses.replace(config, trains="finetune")
  store, trial = TrialStore(tmp_path, {}), Trial("a", {"arm": "a", "seed": 0})
  tune(store.path(trial), SHARED, without=without)
  told = study_findings(given, store, [trial], {"a": {0: {}}})
  expected = [f"Fine-tuning in all trials: {SHARED.line}."]
  assert sentences(told) == ([] if without else expected)
  assert len(told.missing) == len(without)
