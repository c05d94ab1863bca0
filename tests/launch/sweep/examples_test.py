# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Differences of studies over single test examples."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from bertjax.finetune.experiment import make_trial
from bertjax.finetune.trial import TrialResult
from bertjax.sweep import study
from bertjax.sweep.axes import expand
from bertjax.sweep.comparison import compare
from bertjax.trials.store import TrialStore
from launch import finetune
from launch.reports import sweep_tables
from launch.sweep import __main__ as sweep
from launch.sweep.examples import (
  SUFFIX,
  read_differences,
  read_tuned,
  step_folder,
)
from launch.sweep.report import PAGE, REPORT
from tests.testing.launchers import make_arm_result

RIGHT = {
  ("mlm_nsp", 0): ["1100"],
  ("mlm_nsp", 1): ["1000"],
  ("mlm", 0): ["1111", "0011"],  # two seeds of fine-tuning
  ("mlm", 1): ["1110", "1110"],
}
METRIC = "probe_accuracy"


@pytest.fixture
def two_arms(config):
  return expand(dataclasses.replace(config, chosen=("mlm_nsp", "mlm")))


def shares(answers):
  return np.mean([[digit == "1" for digit in each] for each in answers], axis=0)


def write(config, folder, right):
  """The answers of the trials, and the comparison of their values."""
  store = TrialStore(folder, {})
  trials = study.make_trials(config)
  scores = {}
  for trial in trials:
    arm, seed = trial.settings["arm"], trial.settings["seed"]
    value = float(shares(RIGHT[arm, seed]).mean())
    scores.setdefault(arm, {})[seed] = {METRIC: value, "mlm_loss": 1.0}
    if (arm, seed) in right:
      place = step_folder(store.path(trial), config.pretrain.steps)
      place.mkdir(parents=True)
      found = {METRIC: right[arm, seed]}
      (place / f"finetune{SUFFIX}").write_text(json.dumps(found))
  return store, trials, compare(scores, "mlm_nsp")


def test_answers_are_subtracted_by_seed_and_example(two_arms, tmp_path):
  written = write(two_arms, tmp_path, RIGHT)
  ((key, found_SN),) = read_differences(two_arms, *written).items()
  assert key == ("mlm", METRIC)
  np.testing.assert_allclose(found_SN, [[-0.5, -0.5, 1, 1], [0, 1, 1, 0]])


@pytest.mark.parametrize(
  ("arm", "answers"),
  [
    ("mlm", None),  # killed before they were kept, or of an earlier version
    ("mlm", ["1111", "001"]),
    ("mlm", ["0000"]),  # not those that the value is of
    ("mlm_nsp", ["11000000"]),  # of another test set
  ],
)
def test_answers_that_do_not_pair_are_left_out(
  two_arms, tmp_path, arm, answers
):
  right = {**RIGHT, (arm, 0): answers}
  if answers is None:
    del right[arm, 0]
  assert read_differences(two_arms, *write(two_arms, tmp_path, right)) == {}


class Tuned:
  """Stands in for fine-tuning, and keeps answers as it does."""

  def __init__(self, examples):
    self.rng, self.examples, self.trained = (
      np.random.default_rng(0),
      examples,
      0,
    )

  def __call__(self, config, bundle, workdir, policy):
    del config, bundle, policy
    self.trained += 1
    right = "".join(self.rng.choice([*"011"], self.examples))
    accuracy = right.count("1") / self.examples
    trial = TrialResult(
      1, {}, {"accuracy": accuracy}, 0.1, (), right={"test": right}
    )
    path = pathlib.Path(workdir) / "trials" / make_trial(1e-3, 0).name
    path.mkdir(parents=True)
    (path / "result.json").write_text(json.dumps({"result": trial.to_json()}))
    return make_arm_result(accuracy)


def test_a_study_asks_what_other_test_examples_would_have_said(
  config, launchers, tmp_path, monkeypatch
):
  del launchers
  tuned = Tuned(examples=50)
  monkeypatch.setattr(finetune, "run", tuned)
  sweep.run(config, str(tmp_path))
  before = (tmp_path / REPORT).read_bytes()
  report = json.loads(before)
  for each in report["comparisons"]:
    if each["metric"] == METRIC:
      assert {*each["bootstrap"]} == {"seeds", "examples", "both"}
      both = each["bootstrap"]["both"]
      assert both["low"] < each["mean"] < both["high"]
    else:
      assert each["bootstrap"] == {}
  columns = sweep_tables.comparison_columns(report)
  for row in sweep_tables.comparisons(report):
    cell = dict(zip(columns, row, strict=True))["95 %, other examples too"]
    assert (" to " in cell) == (row[1] == "probe accuracy")
  assert "nothing is\nconcluded from it" in (tmp_path / PAGE).read_text()
  sweep.run(config, str(tmp_path))
  assert (tmp_path / REPORT).read_bytes() == before
  assert tuned.trained == 6


def test_scores_that_are_no_mean_over_examples_keep_none(tmp_path):
  result = Tuned(examples=5)(None, "bundle", str(tmp_path), None)
  (answers,) = read_tuned(tmp_path, result, "accuracy")
  assert len(answers) == 5
  assert read_tuned(tmp_path, result, "macro_f1") == []
  # A run of an earlier version has kept none.
  (path,) = tmp_path.rglob("result.json")
  saved = json.loads(path.read_text())
  del saved["result"]["right"]
  path.write_text(json.dumps(saved))
  assert read_tuned(tmp_path, result, "accuracy") == []
