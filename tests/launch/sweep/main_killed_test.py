# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A study that was killed ends as one that was not, byte for byte.

Each run is a process of its own, started by the command a user would type.
"""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.testing import compiling

ROOT = pathlib.Path(__file__).parents[3]
KILLS = 10
# The longest time until a kill, as a part of what the study takes: a start may
# take half of it.
LONGEST = 0.6
FILES = ("report.json", "results.csv", "results.json", "results.md")


@pytest.fixture(scope="module")
def start(place, tmp_path_factory):
  """Start a study of four trials in a workdir."""
  folder = tmp_path_factory.mktemp("programs")
  environment = {
    **os.environ,
    "XLA_FLAGS": compiling.FLAGS,
    "JAX_COMPILATION_CACHE_DIR": str(folder),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
  }
  values = {
    "pretrain.data.store": place / "store",
    "pretrain.data.seq_length": 16,
    "pretrain.steps": 150,
    "pretrain.batch_size": 8,
    "pretrain.log_every_steps": 7,
    "pretrain.checkpoint.every_steps": 20,
    "pretrain.optimizer.warmup_steps": 10,
    "pretrain.model.num_layers": 1,
    "pretrain.model.hidden_size": 32,
    "pretrain.model.intermediate_size": 64,
    "pretrain.model.num_heads": 2,
    "finetune.task.kind": "table",
    "finetune.task.train": place / "table.jsonl",
    "finetune.steps": 20,
    "finetune.batch_size": 8,
    "finetune.seq_length": 16,
    "finetune.seeds": 1,
    "finetune.learning_rates": "(1e-3,)",
    "probes.shared_rows": 8,
    "probes.pairs": 40,
  }

  def begin(workdir, *more, **variables):
    return subprocess.Popen(
      [
        *(sys.executable, "-m", "launch.sweep", "--config=nsp:size=tiny"),
        *("--arms=mlm_nsp,nsp_rows", "--seeds=2", "--match=steps"),
        *(f"--config.{name}={value}" for name, value in values.items()),
        f"--workdir={workdir}",
        *more,
      ],
      cwd=ROOT,
      env={**environment, **variables},
      start_new_session=True,  # as in a terminal of its own
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )

  return begin


def finish(process):
  output, _ = process.communicate(timeout=600)
  assert process.returncode == 0, output


@pytest.fixture(scope="module")
def unbroken(start, tmp_path_factory):
  """A study that nothing stopped, one trial after another, and its seconds."""
  workdir = tmp_path_factory.mktemp("unbroken") / "w"
  began = time.monotonic()
  finish(start(workdir))
  return workdir, time.monotonic() - began


def check_same(workdir, whole):
  for name in FILES:
    assert (workdir / name).read_bytes() == (whole / name).read_bytes(), name


def wait_until(process, is_so):
  """Wait for something that a study that runs brings about."""
  deadline = time.monotonic() + 240
  while not is_so():
    assert process.poll() is None, process.communicate()[0]
    assert time.monotonic() < deadline
    time.sleep(0.05)


def check_ended(pids):
  deadline = time.monotonic() + 10
  while any(map(is_alive, pids)) and time.monotonic() < deadline:
    time.sleep(0.05)
  assert not any(map(is_alive, pids))


def descendants(pid):
  """Return the processes below a process."""
  path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
  found = [int(each) for each in path.read_text().split()]
  return [*found, *(below for each in found for below in descendants(each))]


def is_alive(pid):
  try:
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
  except FileNotFoundError:
    return False
  return text.rpartition(")")[2].split()[0] != "Z"


def count_training(workdir):
  """The number of trials that have taken steps."""
  return len([*workdir.glob("trials/*/pretrain/metrics.jsonl")])


@pytest.mark.full
def test_a_rerun_of_a_finished_study_compiles_nothing(
  start, unbroken, tmp_path
):
  workdir, seconds = unbroken
  before = {name: (workdir / name).read_bytes() for name in FILES}
  began = time.monotonic()
  finish(start(workdir, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "programs")))
  assert time.monotonic() - began < seconds / 2
  assert not [*(tmp_path / "programs").glob("*")]
  assert before == {name: (workdir / name).read_bytes() for name in FILES}


@pytest.mark.full
def test_killing_a_study_ten_times_changes_no_byte(start, unbroken, tmp_path):
  """At any moment: while it starts, compiles, trains, probes or reports."""
  whole, seconds = unbroken
  seed = int.from_bytes(os.urandom(4))
  print(f"seed {seed}")
  draw = random.Random(seed)
  killed = 0
  while killed < KILLS:
    process = start(tmp_path / "w")
    try:
      output, _ = process.communicate(
        timeout=draw.uniform(0, LONGEST * seconds)
      )
    except subprocess.TimeoutExpired:
      process.kill()
      process.communicate()
      killed += 1
    else:
      assert process.returncode == 0, output
  finish(start(tmp_path / "w"))
  check_same(tmp_path / "w", whole)


@pytest.mark.full
def test_trials_at_once_end_with_their_study_and_go_on_with_it(
  start, unbroken, tmp_path
):
  workdir = tmp_path / "w"
  process = start(workdir, "--trials_at_once=2")
  wait_until(process, lambda: count_training(workdir) == 2)
  below = descendants(process.pid)
  assert len(below) >= 2
  process.kill()
  process.communicate()
  check_ended(below)

  process = start(workdir, "--trials_at_once=2")
  wait_until(process, lambda: [*workdir.glob("trials/*/result.json")])
  process.send_signal(signal.SIGTERM)
  output, _ = process.communicate(timeout=240)
  assert process.returncode == 42, output
  assert "run the same command again to resume" in output
  finish(start(workdir, "--trials_at_once=2"))
  check_same(workdir, unbroken[0])


@pytest.mark.full
def test_ctrl_c_in_a_terminal_ends_trials_at_once_and_a_rerun_goes_on(
  start, unbroken, tmp_path
):
  """It reaches all processes: while they are imported, and while they train."""
  workdir = tmp_path / "w"
  for trains in (0, 2):
    process = start(workdir, "--trials_at_once=2")
    wait_until(
      process,
      lambda p=process, n=trains: (
        len(descendants(p.pid)) > 1 and count_training(workdir) >= n
      ),
    )
    below = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 130, output
    assert "run the same command again to resume" in output
    assert "Traceback" not in output
    assert " failed: " not in output
    check_ended(below)
    assert count_training(workdir) == trains
  finish(start(workdir, "--trials_at_once=2"))
  check_same(workdir, unbroken[0])
