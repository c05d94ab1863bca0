# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from bertjax.config import FinetuneConfig
from bertjax.finetune import experiment
from bertjax.finetune.experiment import Experiment, make_trial
from bertjax.finetune.outcome import ExperimentResult
from bertjax.finetune.trial import TrialResult, TrialRun
from bertjax.train.hooks import Diverged
from bertjax.trials.store import TrialStore

CONFIG = FinetuneConfig(
  learning_rates=(1e-4, 1e-3, 1e-2),
  seed=4,
  seeds=3,
  metric="accuracy",
  runs_at_once=1,
)
# Rate → accuracy on dev and on test: they disagree on which is best.
DEV = {1e-4: 0.5, 1e-3: 0.7, 1e-2: 0.6}
TEST = {1e-4: 0.9, 1e-3: 0.4, 1e-2: 0.8}


class Bench:
  """Stands in for training: counts runs, gives scores out of a table."""

  def __init__(self, folder, monkeypatch, config=CONFIG, diverging=()):
    self.runs = []
    self.reports = []
    self.diverging = diverging
    self.inputs = 0
    self.checked = []
    monkeypatch.setattr(experiment, "run_trial", self.run_trial)
    self.config = config
    self.folder = folder

  def experiment(self):
    def make_inputs() -> Any:
      self.inputs += 1
      return "inputs"

    return Experiment(
      make_inputs,
      self.config,
      TrialStore(self.folder, {}),
      report=lambda *told: self.reports.append(told),
      check=lambda _, seeds: self.checked.append(tuple(seeds)),
    )

  def run_trial(self, inputs, config, *, learning_rate, seed, session):
    name = f"rate{learning_rate:g}-seed{seed}"
    assert session.folder.name == name or "trials" in session.settings
    del inputs, config
    self.runs.append((learning_rate, seed))
    if {learning_rate, (learning_rate, seed)} & {*self.diverging}:
      raise Diverged(f"loss is nan at {learning_rate}")
    dev = {"accuracy": DEV[learning_rate] + seed / 100, "loss": 1.0}
    result = TrialResult(
      best_step=10,
      dev=dev,
      test={"accuracy": TEST[learning_rate] - seed / 100, "loss": 1.0},
      train_loss=0.1,
      curve=({"step": 10, **dev},),
    )
    return TrialRun(result, f"params of {learning_rate} {seed}")


@pytest.fixture
def bench(tmp_path, monkeypatch):
  return Bench(tmp_path, monkeypatch)


def test_the_rate_is_chosen_on_dev_and_its_first_run_counts(bench):
  results = bench.experiment().run()
  assert results.learning_rate == 1e-3
  assert bench.runs == [
    (1e-4, 4),
    (1e-3, 4),
    (1e-2, 4),
    (1e-3, 5),
    (1e-3, 6),
  ]
  assert results.seeds == (4, 5, 6)
  assert len(bench.reports) == len(bench.runs)
  assert [entry.learning_rate for entry in results.selection] == [
    1e-4,
    1e-3,
    1e-2,
  ]


def test_scores_are_numpys_mean_and_std_over_seeds(bench):
  test = bench.experiment().run().test["accuracy"]
  values_N = TEST[1e-3] - np.asarray([4, 5, 6]) / 100
  np.testing.assert_allclose(test.values, values_N)
  assert math.isclose(test.mean, values_N.mean())
  assert math.isclose(test.std or 0, values_N.std(ddof=1))


def test_a_finished_arm_costs_nothing(bench):
  first = bench.experiment().run()
  runs, inputs = len(bench.runs), bench.inputs
  again = bench.experiment().run()
  assert again == first
  assert (len(bench.runs), bench.inputs) == (runs, inputs) == (5, 1)


def test_an_interrupted_arm_goes_on_with_the_next_trial(bench):
  whole = bench.experiment().run()
  last = bench.folder / "trials" / make_trial(1e-3, 6).name / "result.json"
  last.unlink()
  bench.runs.clear()
  assert bench.experiment().run() == whole
  assert bench.runs == [(1e-3, 6)]


def test_more_seeds_run_only_the_new_ones(tmp_path, monkeypatch, bench):
  bench.experiment().run()
  more = FinetuneConfig(**{**vars(CONFIG), "seeds": 5})
  later = Bench(tmp_path, monkeypatch, config=more)
  later.experiment().run()
  assert later.runs == [(1e-3, 7), (1e-3, 8)]


def test_the_best_run_on_dev_is_handed_on(bench):
  arm = bench.experiment()
  arm.run()
  trial = arm.winner(1e-3)
  assert trial == make_trial(1e-3, 6)
  assert arm.trained(trial).params == "params of 0.001 6"
  assert len(bench.runs) == 5
  # A later process does not have it in memory: it is run again, once.
  later = bench.experiment()
  assert later.winner(1e-3) == trial
  assert later.trained(trial).params == "params of 0.001 6"
  assert later.trained(trial).params == "params of 0.001 6"
  assert bench.runs[5:] == [(1e-3, 6)]


def test_several_seeds_may_choose_the_rate(tmp_path, monkeypatch):
  config = FinetuneConfig(**{**vars(CONFIG), "selection_seeds": 2, "seeds": 2})
  bench = Bench(tmp_path, monkeypatch, config=config)
  results = bench.experiment().run()
  assert len(bench.runs) == 6
  assert results.selection[1].dev.values == (0.74, 0.75)


def test_a_rate_that_diverges_is_passed_over(tmp_path, monkeypatch):
  bench = Bench(tmp_path, monkeypatch, diverging=(1e-3,))
  results = bench.experiment().run()
  assert results.learning_rate == 1e-2
  assert results.selection[1].dev is None
  bench.experiment().run()
  assert bench.runs.count((1e-3, 4)) == 1


def test_an_arm_whose_every_rate_diverges_is_an_error(tmp_path, monkeypatch):
  bench = Bench(tmp_path, monkeypatch, diverging=tuple(DEV))
  with pytest.raises(ValueError, match="every run diverged; give lower"):
    bench.experiment().run()


def test_a_seed_that_diverges_is_counted_and_left_out(tmp_path, monkeypatch):
  bench = Bench(tmp_path, monkeypatch, diverging=((1e-3, 5),))
  arm = bench.experiment()
  results = arm.run()
  assert results.learning_rate == 1e-3
  assert results.seeds == (4, 6)
  assert results.diverged == {"5": "loss is nan at 0.001"}
  test = results.test["accuracy"]
  np.testing.assert_allclose(test.values, TEST[1e-3] - np.asarray([4, 6]) / 100)
  assert arm.winner(1e-3) == make_trial(1e-3, 6)
  assert len(arm.finished(1e-3)) == 2
  saved = json.loads(json.dumps(results.to_json(), allow_nan=False))
  assert ExperimentResult.from_json(saved) == results


def test_a_rate_that_never_diverges_is_chosen_before_others(
  tmp_path, monkeypatch
):
  config = FinetuneConfig(**{**vars(CONFIG), "selection_seeds": 2})
  bench = Bench(tmp_path, monkeypatch, config, diverging=((1e-3, 5),))
  results = bench.experiment().run()
  assert results.learning_rate == 1e-2
  assert results.diverged_rates == {"0.001": 1}
  assert results.selection[1].dev is not None


def test_an_arm_whose_every_seed_diverges_is_an_error(tmp_path, monkeypatch):
  config = FinetuneConfig(
    **{**vars(CONFIG), "learning_rates": (1e-3,), "selection_seeds": 2}
  )
  one = FinetuneConfig(**{**vars(config), "seeds": 1})
  bench = Bench(tmp_path, monkeypatch, one, diverging=((1e-3, 4),))
  with pytest.raises(ValueError, match=r"every run diverged.*loss is nan"):
    bench.experiment().run()


def test_results_are_read_as_they_were_written(tmp_path, monkeypatch):
  bench = Bench(tmp_path, monkeypatch, diverging=(1e-4,))
  result = bench.experiment().run()
  saved = json.loads(json.dumps(result.to_json()))
  assert ExperimentResult.from_json(saved) == result


def test_what_runs_is_checked_and_the_largest_group_first(bench, monkeypatch):
  def run_trials(inputs, config, choices, session):
    return [
      bench.run_trial(inputs, config, **choice._asdict(), session=session)
      for choice in choices
    ]

  monkeypatch.setattr(experiment, "run_trials", run_trials)
  bench.config = dataclasses.replace(CONFIG, runs_at_once=8, seeds=5)
  bench.experiment().run()
  assert bench.checked == [(5, 6, 7, 8), (4, 4, 4)]
  # One that is left is run alone, and so it is checked.
  for seed in (7, 8):
    name = make_trial(1e-3, seed).name
    (bench.folder / "trials" / name / "result.json").unlink()
    bench.checked.clear()
    bench.experiment().run()
    assert bench.checked == [(seed,)]


def test_states_that_a_killed_call_left_are_deleted(bench):
  bench.experiment().run()
  left = bench.folder / "trials" / make_trial(1e-4, 4).name / "checkpoints"
  left.mkdir()
  again = bench.experiment()
  again.run()
  again.delete_leftovers()
  assert not left.exists()


def test_a_second_run_of_the_best_tells_where_it_differs(bench, caplog):
  bench.experiment().run()
  later = bench.experiment()
  later.run()
  later.trained(later.winner(1e-3))
  assert not caplog.text
  path = bench.folder / "trials" / make_trial(1e-3, 6).name / "result.json"
  saved = json.loads(path.read_text())
  saved["result"] |= {"best_step": 7, "dev": {"accuracy": 0.9, "loss": 1.0}}
  path.write_text(json.dumps(saved))
  later = bench.experiment()
  later.run()
  run = later.trained(later.winner(1e-3))
  assert run.result.best_step == 10
  assert (
    "dev accuracy 0.76 at step 10, and the stored result has 0.9 at step 7"
    in (caplog.text)
  )
