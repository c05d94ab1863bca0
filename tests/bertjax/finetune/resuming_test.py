# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""An interrupted trial ends as one that was never interrupted, to the bit."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from bertjax.checkpoints.checkpoint import write_tree
from bertjax.finetune import resuming
from bertjax.finetune.resuming import Session, Stopped, delete_checkpoints
from bertjax.finetune.trial import run_trial
from tests.testing.trials import (
  CONFIG,
  STEPS,
  Killed,
  dying,
  make_inputs,
  stopping,
)

EVERY = dataclasses.replace(CONFIG, checkpoint_steps=7)
CHOICE = {"learning_rate": 3e-3, "seed": 1}


@pytest.fixture(scope="module")
def inputs():
  return make_inputs(CONFIG)


@pytest.fixture(scope="module")
def whole(inputs):
  return run_trial(inputs, CONFIG, **CHOICE)


def assert_same(run, whole):
  assert run.result == whole.result
  for ours, theirs in zip(
    jax.tree.leaves(run.params), jax.tree.leaves(whole.params), strict=True
  ):
    np.testing.assert_array_equal(ours, theirs)


# Before the first evaluation, after it, and after the best one.
@pytest.mark.parametrize(
  "at",
  [
    *(pytest.param(each, marks=pytest.mark.full) for each in (10, 25)),
    STEPS - 2,
  ],
)
def test_a_trial_that_was_killed_goes_on(inputs, whole, tmp_path, at):
  session = Session(tmp_path)
  with pytest.raises(Killed):
    run_trial(dying(inputs, at), EVERY, **CHOICE, session=session)
  seen = []
  watched = dataclasses.replace(
    inputs,
    train=lambda seed, step: seen.append(step) or inputs.train(seed, step),
  )
  assert_same(run_trial(watched, EVERY, **CHOICE, session=session), whole)
  assert seen[0] == at // 7 * 7
  delete_checkpoints(tmp_path)
  assert not any(tmp_path.iterdir())


def test_the_best_parameters_are_written_where_they_change(
  inputs, whole, tmp_path, monkeypatch
):
  written = []

  def write(folder, tree):
    written.append(int(folder.name))
    return write_tree(folder, tree)

  monkeypatch.setattr(resuming, "write_tree", write)
  often = dataclasses.replace(EVERY, checkpoint_steps=2)
  session = Session(tmp_path)
  with pytest.raises(Killed):
    run_trial(dying(inputs, 45), often, **CHOICE, session=session)
  # Evaluations are at 20 and 40, and there are 22 checkpoints.
  accuracy, loss = "accuracy", "loss"
  ranks = [(-each[accuracy], each[loss]) for each in whole.result.curve[:2]]
  best = [20, 40] if ranks[1] < ranks[0] else [20]
  assert written == best
  folders = [*tmp_path.glob("checkpoints/best/*")]
  assert {int(folder.name) for folder in folders} == {*best}
  assert_same(run_trial(inputs, often, **CHOICE, session=session), whole)


def test_what_no_checkpoint_names_is_deleted(tmp_path):
  for step in (10, 20, 30, 40):
    (tmp_path / "best" / str(step) / "half").mkdir(parents=True)
  resuming._make_room(tmp_path / "best" / "40")
  assert {path.name for path in (tmp_path / "best").iterdir()} == {"20", "30"}


def test_a_signal_saves_the_step_it_comes_at(inputs, whole, tmp_path):
  with pytest.raises(Stopped, match=rf"stopped at step \d+ of {STEPS}"):
    run_trial(
      inputs, CONFIG, **CHOICE, session=Session(tmp_path, stop=stopping(12))
    )
  assert any(tmp_path.iterdir())
  run = run_trial(inputs, CONFIG, **CHOICE, session=Session(tmp_path))
  assert_same(run, whole)


def test_nothing_is_saved_in_a_folder_that_another_process_has(
  inputs, tmp_path
):
  def guard():
    raise ValueError("taken over")

  with pytest.raises(ValueError, match="taken over"):
    run_trial(inputs, EVERY, **CHOICE, session=Session(tmp_path, guard=guard))
  assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
  "fault",
  [
    pytest.param("damage", marks=pytest.mark.full),
    "damage of the best",
    "settings",
  ],
)
def test_what_is_of_no_use_is_told_and_the_trial_begins_anew(
  inputs, whole, tmp_path, caplog, fault
):
  session = Session(tmp_path, {"seed": 1})
  with pytest.raises(Killed):
    run_trial(dying(inputs, 30), EVERY, **CHOICE, session=session)
  if fault == "damage":
    for record in tmp_path.glob("checkpoints/*/record/*"):
      record.write_text("{}")
  elif fault == "damage of the best":
    (folder,) = tmp_path.glob("checkpoints/best/*")
    shutil.rmtree(folder)
  else:
    session = Session(tmp_path, {"seed": 2})
  run = run_trial(inputs, EVERY, **CHOICE, session=session)
  assert_same(run, whole)
  assert "the trial begins anew" in caplog.text


def test_half_of_what_was_deleted_is_not_taken_for_a_checkpoint(tmp_path):
  (tmp_path / "checkpoints" / "7").mkdir(parents=True)
  (tmp_path / "checkpoints.old" / "3").mkdir(parents=True)
  delete_checkpoints(tmp_path)
  assert not any(tmp_path.iterdir())
  delete_checkpoints(tmp_path)


def test_a_trial_that_stops_before_its_first_step_claims_nothing():
  assert str(Stopped(3, 5)) == "stopped at step 3 of 5, which is saved"
  assert "nothing of this trial is saved" in str(Stopped(0, 5))
