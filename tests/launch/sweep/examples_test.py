# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Differences of studies over single test examples."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from bertjax.config import ProbesConfig, to_mapping
from bertjax.finetune.experiment import make_trial
from bertjax.finetune.trial import TrialResult
from bertjax.sweep import study
from bertjax.sweep.axes import expand
from bertjax.sweep.comparison import compare, verdicts
from bertjax.trials.intervals import Scored
from bertjax.trials.resampling import score_draws
from bertjax.trials.store import TrialStore
from launch import finetune
from launch.reports import sweep_tables
from launch.sweep import __main__ as sweep
from launch.sweep.examples import (
  SUFFIX,
  read_examples,
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
  found = read_examples(two_arms, *written)
  (((key, found_SN)),) = found.differences.items()
  assert not isinstance(found_SN, Scored)
  assert found.missing == []
  assert key == ("mlm", METRIC)
  np.testing.assert_allclose(found_SN, [[-0.5, -0.5, 1, 1], [0, 1, 1, 0]])


@pytest.mark.parametrize(
  ("arm", "answers", "why"),
  [
    # Killed before they were kept, or of an earlier version.
    ("mlm", None, "mlm-seed0 kept no answers"),
    ("mlm", ["1111", "001"], "mlm-seed0 kept answers to 3 and 4 test examples"),
    (
      "mlm",
      ["0000"],
      "mlm-seed0 kept answers that score 0.0000, not 0.7500 as its result",
    ),
    (
      "mlm_nsp",
      ["11000000"],
      "mlm_nsp-seed0 kept answers that score 0.2500, not 0.5000 as its result",
    ),
    ("mlm", ["11111100"], "mlm-seed0 answered 8 test examples, not 4"),
    (
      "mlm_nsp",
      ["11110000"],
      "mlm-seed0, mlm_nsp-seed1, mlm-seed1 answered 4 test examples, not 8",
    ),
  ],
)
def test_answers_that_do_not_pair_are_left_out_and_told(
  two_arms, tmp_path, arm, answers, why
):
  right = {**RIGHT, (arm, 0): answers}
  if answers is None:
    del right[arm, 0]
  found = read_examples(two_arms, *write(two_arms, tmp_path, right))
  assert found.differences == {}
  (told,) = found.missing
  assert told == (
    f"No interval over other test examples for probe accuracy: {why}. To have "
    "one, remove result.json and probes/step_*/finetune* and finetune in the "
    "folders of these trials, and give the same command again."
  )


def test_a_report_says_what_it_has_no_answers_of(
  config, launchers, tmp_path, capsys
):
  """The stand-ins keep none, as trials of an earlier version did not."""
  del launchers
  sweep.run(config, str(tmp_path))
  report = json.loads((tmp_path / REPORT).read_text())
  told = "other test examples for probe accuracy: all trials kept no answers. "
  assert any(told in note for note in report["notes"])
  said = capsys.readouterr().out
  assert told in said
  assert said.count("No interval over") == 1


def test_scores_of_what_is_predicted_are_drawn_from(two_arms, tmp_path):
  """Of one label and of others nothing is said together."""
  tuned = dataclasses.replace(two_arms.finetune, metric="matthews")
  tasks = {"cola": {"task": to_mapping(tuned.task), "metric": "matthews"}}
  config = dataclasses.replace(two_arms, probes=ProbesConfig(tasks=tasks))
  metric, labels = "probe_cola_matthews", [0, 0, 1, 1] * 5
  store, scores, rng = TrialStore(tmp_path, {}), {}, np.random.default_rng(0)
  trials = study.make_trials(config)
  for trial in trials:
    arm, seed = trial.settings["arm"], trial.settings["seed"]
    columns = {"label": labels, "predicted": rng.integers(0, 2, 20).tolist()}
    arrays = {name: np.asarray(each) for name, each in columns.items()}
    (value,) = score_draws("matthews", arrays, np.ones((1, 20)))
    scores.setdefault(arm, {})[seed] = {metric: float(value)}
    place = step_folder(store.path(trial), config.pretrain.steps)
    place.mkdir(parents=True)
    answers = [{"score": "matthews", "columns": columns}]
    (place / f"cola{SUFFIX}").write_text(json.dumps({metric: answers}))
  result = compare(scores, "mlm_nsp")
  found = read_examples(config, store, trials, result)
  assert found.missing == []
  (comparison,) = verdicts(result, by_example=found.differences)
  assert {*comparison.bootstrap} == {"seeds", "examples", "both"}
  seeds = comparison.bootstrap["seeds"]
  assert seeds.low <= comparison.mean <= seeds.high
  both = comparison.bootstrap["both"]
  assert both.low < comparison.mean < both.high

  path = step_folder(store.path(trials[-1]), config.pretrain.steps)
  path /= f"cola{SUFFIX}"
  ((answer,),) = json.loads(path.read_text()).values()
  answer["columns"] = {
    name: [1 - each for each in values]
    for name, values in answer["columns"].items()
  }
  path.write_text(json.dumps({metric: [answer]}))
  (told,) = read_examples(config, store, trials, result).missing
  assert "mlm-seed1 answered other test examples than other trials" in told


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
      assert {*each["bootstrap"]} == {"seeds"}
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
  assert read_tuned(tmp_path, result, "matthews") == []
  # A run of an earlier version has kept none.
  (path,) = tmp_path.rglob("result.json")
  saved = json.loads(path.read_text())
  del saved["result"]["right"]
  path.write_text(json.dumps(saved))
  assert read_tuned(tmp_path, result, "accuracy") == []


def test_what_a_task_says_of_each_example_is_kept(tmp_path):
  result = Tuned(examples=5)(None, "bundle", str(tmp_path), None)
  (path,) = tmp_path.rglob("result.json")
  saved = json.loads(path.read_text())
  columns = {"label": [0, 1, 1, 0, 1], "predicted": [0, 1, 0, 0, 1]}
  saved["result"]["by_example"] = columns
  path.write_text(json.dumps(saved))
  for score in ("macro_f1", "matthews", "f1"):
    (kept,) = read_tuned(tmp_path, result, score)
    assert kept == {"score": score, "columns": columns}
  assert read_tuned(tmp_path, result, "spearman") == []
  assert isinstance(read_tuned(tmp_path, result, "accuracy")[0], str)
