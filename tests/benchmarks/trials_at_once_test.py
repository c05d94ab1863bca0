# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark runs, and what it compares is the same study."""

import json
import subprocess
import sys

import pytest

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


@pytest.mark.full
def test_trials_at_once_are_timed(store):
  command = (
    *(sys.executable, "-m", "benchmarks.trials_at_once"),
    *(f"--store={store}", "--steps=20", "--batch_size=8"),
  )
  said = subprocess.check_output(command, cwd=ROOT, text=True)
  found = json.loads(said)
  assert found["reports_are_equal"]
  assert found["two_to_one"] == pytest.approx(
    found["two_at_once_s"] / found["one_after_another_s"], abs=0.02
  )
  assert found["study_to_trials"] >= 1
  # It trains nothing.
  assert found["rerun_of_finished_s"] < found["trials_s"]
