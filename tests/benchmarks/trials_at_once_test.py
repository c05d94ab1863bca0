# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark runs, and what it compares is the same study."""

import json
import subprocess
import sys

import pytest

from benchmarks.trials_at_once import (
  losses_differ_by,
  pick_first_steps,
  time_first_steps,
)
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from tests.testing.commands import ROOT


@pytest.fixture
def store(tmp_path):
  """A store whose vocabulary has the letters of any English text."""
  prepare(
    Options(
      corpus=str(ROOT / "tests" / "data" / "books.jsonl"),
      output=str(tmp_path / "store"),
      validation="0.3",
      vocab_size=2000,
    ),
    lambda *_: None,
  )
  return tmp_path / "store"


def test_a_first_step_is_timed_from_the_start_of_its_trial():
  said = """\
warning: nothing
trial 1 of 4: a-seed0
step 1/20  loss 8.3  12 tokens/s  compiled
step 20/20  loss 6.1  12 tokens/s  ETA 0:00
trial 2 of 4: a_b-seed0
step 1/20  loss 8.3  12 tokens/s  compiled
step 1/9  loss 8.3  compiled
trial 3 of 4: a-seed1
step 1/20  loss 8.3  12 tokens/s  compiled
trial 4 of 4: a_b-seed1
step 20/20  loss 6.1  12 tokens/s  ETA 0:00
"""
  times = iter([10.0, 15.0, 20.0, 22.0, 30.0, 30.5, 40.0])
  found = time_first_steps(said.splitlines(keepends=True), lambda: next(times))
  expected = {"a-seed0": 5.0, "a_b-seed0": 2.0, "a-seed1": 0.5}
  assert found == {**expected, "a_b-seed1": None}
  assert next(iter(found)) == "a-seed0"


def test_a_first_step_that_was_not_read_is_left_out():
  first, second = "first_trial_steps_after_s", "second_of_its_arm_steps_after_s"
  found = {"a-seed0": 5.0, "b-seed0": 3.0, "b-seed1": 2.0, "a-seed1": 0.5}
  assert pick_first_steps(found) == {first: 5.0, second: 0.5}
  assert pick_first_steps({**found, "a-seed0": None}) == {second: 0.5}
  assert pick_first_steps({**found, "a-seed1": None}) == {first: 5.0}
  assert pick_first_steps({}) == {}


def test_two_studies_are_as_far_apart_as_their_losses():
  left, right = (
    {"arms": {"a": {"mlm_loss": {"values": [1.0, last]}}}}
    for last in (2.0, 2.5)
  )
  assert losses_differ_by(left, left) == 0
  assert losses_differ_by(left, right) == 0.5


@pytest.mark.full
def test_trials_at_once_are_timed(store):
  command = (
    *(sys.executable, "-m", "benchmarks.trials_at_once"),
    *(f"--store={store}", "--steps=20", "--batch_size=8"),
  )
  said = subprocess.check_output(command, cwd=ROOT, text=True)
  found = json.loads(said)
  assert found["losses_differ_by"] < 1e-5
  assert found["two_to_one"] == pytest.approx(
    found["two_at_once_s"] / found["one_after_another_s"], abs=0.02
  )
  assert found["study_to_trials"] >= 1
  first = found["first_trial_steps_after_s"]
  # The program of its arm is compiled already.
  second = "second_of_its_arm_steps_after_s"
  assert 0 < found[second] < first
  assert second not in found["missed"]
  assert first < found["trials_s"]
  # It trains nothing.
  assert found["rerun_of_finished_s"] < found["trials_s"]
