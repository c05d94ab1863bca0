# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A run that was killed, or lost a checkpoint, ends as one that was not.

Each run is a process of its own, started by the command a user would type.
"""

import dataclasses
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from bertjax.checkpoints import bundle
from bertjax.config import CheckpointConfig, EvaluationConfig
from tests.testing import compiling, corpus

ROOT = pathlib.Path(__file__).parents[2]
STEPS = 140


@pytest.fixture(scope="module")
def command(tmp_path_factory):
  """The command of a run with dropout, but for its workdir."""
  store = corpus.make_store(tmp_path_factory.mktemp("corpus"))
  config = corpus.make_config(
    store,
    steps=STEPS,
    log_every_steps=7,
    checkpoint=CheckpointConfig(every_steps=20),
    evaluation=EvaluationConfig(every_steps=60, rows=8),
  )
  model = dataclasses.replace(config.model, hidden_dropout_rate=0.2)
  config = dataclasses.replace(config, model=model)
  return [sys.executable, "-m", "launch.pretrain", *corpus.flags(config)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
  """One device, and programs compiled once for all these processes."""
  return {
    **os.environ,
    "XLA_FLAGS": compiling.FLAGS,
    "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("programs")),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
  }


@pytest.fixture(scope="module")
def start(command, environment):
  """Start the command in a workdir."""

  def begin(workdir, *more):
    return subprocess.Popen(
      [*command, f"--workdir={workdir}", *more],
      cwd=ROOT,
      env=environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )

  return begin


@pytest.fixture(scope="module")
def unbroken(start, tmp_path_factory):
  """A run that nothing stopped."""
  workdir = tmp_path_factory.mktemp("unbroken") / "w"
  process = start(workdir)
  output, _ = process.communicate(timeout=240)
  assert process.returncode == 0, output
  return workdir


def stop_at(process, workdir, step, how):
  """Send a signal once the metrics of `step` are on disk."""
  metrics = workdir / "metrics.jsonl"
  deadline = time.monotonic() + 240
  while process.poll() is None and time.monotonic() < deadline:
    text = metrics.read_text() if metrics.exists() else ""
    if f'"step": {step // 7 * 7},' in text:
      process.send_signal(how)
      break
    time.sleep(0.002)
  output, _ = process.communicate(timeout=240)
  return process.returncode, output


def damage(workdir):
  """Flip a byte in the newest committed checkpoint."""
  folders = [
    path.parent for path in workdir.glob("checkpoints/*/commit_success.txt")
  ]
  assert len(folders) > 1
  newest = max(folders, key=lambda folder: int(folder.name))
  files = sorted((newest / "params").rglob("d/*"))
  path = max(files, key=lambda path: path.stat().st_size)
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def check_same(left, right):
  """Parameters by their digests, which tell every bit; metrics by bytes."""
  leaves = bundle.read_bundle_info(left / "bundle").leaves
  assert bundle.read_bundle_info(right / "bundle").leaves == leaves
  assert (left / "metrics.jsonl").read_bytes() == (
    right / "metrics.jsonl"
  ).read_bytes()


def test_killed_damaged_and_started_again_equals_never_killed(
  start, unbroken, tmp_path
):
  seed = int.from_bytes(os.urandom(4))
  draw = random.Random(seed)
  first = draw.randrange(14, STEPS - 60)
  second = draw.randrange(first + 40, STEPS)
  print(f"seed {seed}: SIGTERM at {first}, SIGKILL at {second}")
  workdir = tmp_path / "w"
  code, output = stop_at(start(workdir), workdir, first, signal.SIGTERM)
  assert code == 42, output
  assert "run the same command again to resume" in output
  code, output = stop_at(start(workdir), workdir, second, signal.SIGKILL)
  assert code == -signal.SIGKILL, output
  assert "resuming from step" in output
  damage(workdir)
  process = start(workdir)
  output, _ = process.communicate(timeout=240)
  assert process.returncode == 0, output
  assert "is damaged" in output
  check_same(unbroken, workdir)


@pytest.mark.full
@pytest.mark.parametrize("case", range(4))
def test_killed_at_any_moment_at_all(start, unbroken, tmp_path, case):
  """Also while it starts, compiles, saves or writes its bundle."""
  del case
  seed = int.from_bytes(os.urandom(4))
  draw = random.Random(seed)
  print(f"seed {seed}")
  workdir = tmp_path / "w"
  for _ in range(6):
    process = start(workdir)
    try:
      output, _ = process.communicate(timeout=draw.uniform(2, 14))
      assert process.returncode == 0, output
      break
    except subprocess.TimeoutExpired:
      process.kill()
      process.communicate()
  else:
    process = start(workdir)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
  check_same(unbroken, workdir)


@pytest.mark.full
def test_ctrl_c_saves_and_says_how_to_go_on(start, tmp_path):
  workdir = tmp_path / "w"
  code, output = stop_at(start(workdir), workdir, 14, signal.SIGINT)
  assert code == 130, output
  assert "run the same command again to resume" in output


@pytest.mark.full
def test_a_loss_of_nan_is_one_line_and_exit_1(start, tmp_path):
  process = start(
    tmp_path / "w",
    "--config.optimizer.learning_rate=1e30",
    "--config.optimizer.clip_norm=1e30",
    "--config.optimizer.weight_decay=0.9",
    "--allow=learning_rate",
  )
  output, _ = process.communicate(timeout=240)
  assert process.returncode == 1, output
  assert "error: loss is" in output
  assert "Traceback" not in output
  assert not (tmp_path / "w" / "bundle").exists()
