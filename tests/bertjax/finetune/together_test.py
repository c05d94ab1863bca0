# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Trials that are run at once end as those that are run alone."""

import dataclasses

import jax
import numpy as np
import pytest

from bertjax.config import MeshConfig
from bertjax.finetune import together
from bertjax.finetune.experiment import Experiment
from bertjax.finetune.resuming import Session, Stopped
from bertjax.finetune.together import Choice, run_trials
from bertjax.finetune.trial import TrialRun, run_trial
from bertjax.train import joint, progress
from bertjax.train.hooks import Diverged
from bertjax.trials.store import TrialStore
from tests.testing.trials import (
  CONFIG,
  STEPS,
  Killed,
  dying,
  make_inputs,
  stopping,
)

EVERY = dataclasses.replace(CONFIG, checkpoint_steps=7)
CHOICES = (Choice(3e-3, 1), Choice(1e-3, 2), Choice(3e-3, 3))
# As many: a step of another number of runs is compiled.
RATES = (1e-3, 2e-3, 3e-3)
DIVERGING = (CHOICES[0], Choice(1e30, 2), CHOICES[2])


@pytest.fixture(scope="module")
def inputs():
  return make_inputs(CONFIG)


@pytest.fixture(scope="module")
def whole(inputs):
  return run_trials(inputs, CONFIG, CHOICES)


def test_runs_that_are_trained_at_once_tell_a_listener_of_their_steps(inputs):
  short, told = dataclasses.replace(inputs, steps=10), []
  with progress.told_to(told.append):
    run_trials(short, CONFIG, CHOICES)
  assert told[-1].startswith("step 10/10  loss ")


def assert_same(runs, others):
  for run, other in zip(runs, others, strict=True):
    assert isinstance(run, TrialRun)
    assert run.result == other.result
    jax.tree.map(np.testing.assert_array_equal, run.params, other.params)


def check_alone(inputs, config, atol=1e-5):
  """Compare runs of ten steps with those that are run alone."""
  short = dataclasses.replace(inputs, steps=10)
  for choice, run in zip(
    CHOICES, run_trials(short, config, CHOICES), strict=True
  ):
    assert isinstance(run, TrialRun)
    alone = run_trial(short, config, **choice._asdict())
    jax.tree.map(
      lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=atol),
      run.params,
      alone.params,
    )
    assert run.result.train_loss == pytest.approx(alone.result.train_loss)


def test_after_ten_steps_each_has_the_parameters_of_a_run_alone(inputs):
  """Heads, order of the data and dropout are of its own seed."""
  check_alone(inputs, dataclasses.replace(CONFIG, evaluations=1))


@pytest.mark.parametrize(
  "mesh",
  [
    MeshConfig(data=2),
    pytest.param(MeshConfig(data=2, fsdp=2, tensor=2), marks=pytest.mark.full),
    pytest.param(MeshConfig(data=8, zero1=True), marks=pytest.mark.full),
  ],
)
def test_so_it_is_on_every_mesh(mesh):
  config = dataclasses.replace(CONFIG, evaluations=1, mesh=mesh)
  devices = mesh.data * mesh.fsdp * mesh.tensor
  check_alone(make_inputs(config, devices), config)


def test_each_ends_with_the_scores_of_a_run_alone(inputs, whole):
  for choice, run in zip(CHOICES, whole, strict=True):
    alone = run_trial(inputs, CONFIG, **choice._asdict()).result
    assert run.result.best_step == alone.best_step
    for scores in ("dev", "test"):
      for name, value in getattr(alone, scores).items():
        found = getattr(run.result, scores)[name]
        assert found == pytest.approx(value, abs=1e-3), (scores, name)


def test_one_that_diverges_leaves_the_others_as_they_were(inputs, whole):
  first, second, third = run_trials(inputs, CONFIG, DIVERGING)
  assert isinstance(second, Diverged)
  assert "nan" in str(second)
  assert_same((first, third), (whole[0], whole[2]))


def test_all_that_diverge_end_the_run(inputs):
  seen = []
  watched = dataclasses.replace(
    inputs,
    train=lambda seed, step: seen.append(step) or inputs.train(seed, step),
  )
  runs = run_trials(watched, CONFIG, [Choice(1e30, s) for s in (1, 2, 3)])
  assert all(isinstance(run, Diverged) for run in runs)
  assert max(seen) < STEPS - 1


# Before the first evaluation, and after the best one.
@pytest.mark.parametrize(
  "at", [pytest.param(10, marks=pytest.mark.full), STEPS - 2]
)
def test_trials_that_were_killed_go_on(inputs, whole, tmp_path, at):
  session = Session(tmp_path)
  with pytest.raises(Killed):
    run_trials(dying(inputs, at), EVERY, DIVERGING, session)
  seen = []
  watched = dataclasses.replace(
    inputs,
    train=lambda seed, step: seen.append(step) or inputs.train(seed, step),
  )
  first, second, third = run_trials(watched, EVERY, DIVERGING, session)
  assert seen[0] == at // 7 * 7
  assert isinstance(second, Diverged)
  assert_same((first, third), (whole[0], whole[2]))


def test_a_signal_saves_all_of_them(inputs, whole, tmp_path):
  session = Session(tmp_path, stop=stopping(30))
  with pytest.raises(Stopped, match=rf"stopped at step \d+ of {STEPS}"):
    run_trials(inputs, CONFIG, CHOICES, session)
  assert any(tmp_path.iterdir())
  runs = run_trials(inputs, CONFIG, CHOICES, Session(tmp_path))
  assert_same(runs, whole)


def test_one_whose_scores_no_longer_rise_is_looked_at_no_more(inputs):
  """At the first rate nothing is learned; the others go on."""
  config = dataclasses.replace(CONFIG, evaluations=6, patience=2)
  choices = (Choice(1e-12, 0), Choice(3e-3, 1), Choice(3e-3, 2))
  lengths = []
  for choice, run in zip(
    choices, run_trials(inputs, config, choices), strict=True
  ):
    assert isinstance(run, TrialRun)
    lengths.append(len(run.result.curve))
    alone = run_trial(inputs, config, **choice._asdict()).result
    assert len(run.result.curve) == len(alone.curve)
    assert run.result.train_loss == pytest.approx(alone.train_loss, rel=1e-3)
  assert lengths[0] < min(lengths[1:])


def test_a_batch_with_more_rows_is_no_other_batch(inputs):
  """Some seeds need more rows for a batch; the others get padding."""

  def train(seed, step):
    batch = inputs.train(seed, step)
    if seed != 1:
      return batch
    return {
      name: np.pad(array, [(0, 4), *[(0, 0)] * (array.ndim - 1)])
      for name, array in batch.items()
    }

  wide = dataclasses.replace(inputs, train=train)
  batch = together.training_batch(wide, (1, 2), 0)
  plain = together.training_batch(inputs, (1, 2), 0)
  for name, array in batch.items():
    assert array.shape[:2] == (CONFIG.batch_size + 4, 2)
    np.testing.assert_array_equal(array[: CONFIG.batch_size], plain[name])
    assert not array[CONFIG.batch_size :].any()


def run_experiment(inputs, folder, reports, **fields):
  config = dataclasses.replace(CONFIG, learning_rates=RATES, seeds=4, **fields)
  return Experiment(
    lambda: dataclasses.replace(inputs, steps=4),
    config,
    TrialStore(folder, {}),
    lambda trial, _result, seconds: reports.append((trial.name, seconds > 0)),
  ).run()


def test_an_experiment_stores_each_and_trains_the_rest(
  inputs, tmp_path, monkeypatch
):
  groups = []

  def run_some(inputs, config, choices, session):
    groups.append([tuple(choice) for choice in choices])
    return run_trials(inputs, config, choices, session)

  monkeypatch.setattr("bertjax.finetune.experiment.run_trials", run_some)
  reports = []
  found = run_experiment(inputs, tmp_path, reports, runs_at_once=8)
  rate = found.learning_rate
  assert groups == [
    [(each, 0) for each in RATES],
    [(rate, seed) for seed in (1, 2, 3)],
  ]
  assert len(reports) == 6
  assert all(trained for _, trained in reports)
  assert not [*tmp_path.glob("trials/*/checkpoints*")]
  # As one after another, but for rounding.
  alone = run_experiment(inputs, tmp_path / "alone", [], runs_at_once=1)
  for name, summary in alone.dev.items():
    assert found.dev[name].mean == pytest.approx(summary.mean, abs=1e-5)
  # With some of them done, the rest is trained: one that is left is run alone.
  (tmp_path / "trials" / f"rate{rate:g}-seed2" / "result.json").unlink()
  reports, groups[:] = [], []
  again = run_experiment(inputs, tmp_path, reports, runs_at_once=8)
  assert not groups
  assert [name for name, trained in reports if trained] == [
    f"rate{rate:g}-seed2"
  ]
  assert again.dev["loss"].mean == pytest.approx(found.dev["loss"].mean)


def test_what_is_taken_out_of_a_stack_is_kept_without_another_copy(
  inputs, monkeypatch
):
  taken = []
  make_taker = joint.make_taker

  def watching(abstract):
    take = make_taker(abstract)
    return lambda *given: taken.append(take(*given)) or taken[-1]

  monkeypatch.setattr(joint, "make_taker", watching)
  short = dataclasses.replace(inputs, steps=2)
  runs = run_trials(short, CONFIG, CHOICES)
  for run in runs:
    assert isinstance(run, TrialRun)
    assert any(run.params is each for each in taken)
