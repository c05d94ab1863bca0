# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Two processes are one run; a rehearsal leaves no process running."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import sys
import time

import jax
import numpy as np
import pytest

from bertjax.checkpoints import bundle
from bertjax.config import (
  CheckpointConfig,
  EvaluationConfig,
  MeshConfig,
  ProfileConfig,
)
from bertjax.train import writers
from launch import pretrain
from tests.testing import corpus
from tests.testing.rehearsals import SECONDS, end, start

STEPS = 96
TOLERANCE = 2e-6
TENSOR = MeshConfig(data=1, tensor=8)  # every product is of both processes
MIXED = MeshConfig(data=2, fsdp=2, tensor=2)
# Where they are saved seldom, which no step depends on, less is compiled for.
SELDOM, OFTEN = (CheckpointConfig(every_steps=n) for n in (24, 8))
RESUMED = 72  # a step that is saved
TRACED = ProfileConfig(start_step=STEPS - 4, steps=2)


@pytest.fixture(scope="module")
def config(shared_programs, tmp_path_factory):
  del shared_programs
  store = corpus.make_store(tmp_path_factory.mktemp("corpus"))
  config = corpus.make_config(
    store,
    steps=STEPS,
    log_every_steps=4,
    checkpoint=SELDOM,
    evaluation=EvaluationConfig(every_steps=40, rows=8),
    mesh=TENSOR,
  )
  model = dataclasses.replace(
    config.model, num_layers=1, num_heads=8, hidden_dropout_rate=0.1
  )
  optimizer = dataclasses.replace(config.optimizer, learning_rate=2e-3)
  return dataclasses.replace(config, model=model, optimizer=optimizer)


def start_pretrain(config, workdir, *more, **settings):
  mesh = [f"--config.mesh.{n}={v}" for n, v in vars(config.mesh).items()]
  return start(
    "launch.pretrain",
    *corpus.flags(config),
    *mesh,
    f"--workdir={workdir}",
    *more,
    **settings,
  )


def children(process):
  """Return the ids of the processes that a rehearsal has started."""
  path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
  return [int(each) for each in path.read_text().split()]


def is_running(number):
  with contextlib.suppress(ProcessLookupError, FileNotFoundError):
    state = pathlib.Path(f"/proc/{number}/stat").read_text()
    return state.rpartition(")")[2].split()[0] != "Z"
  return False


def wait_for(condition, process):
  deadline = time.monotonic() + SECONDS
  while not condition() and process.poll() is None:
    assert time.monotonic() < deadline
    time.sleep(0.01)


def lines(workdir):
  text = (pathlib.Path(workdir) / writers.METRICS).read_text()
  return [json.loads(line) for line in text.splitlines()]


def check_same_run(left, right):
  ours, theirs = lines(left), lines(right)
  assert len(ours) == len(theirs)
  for one, other in zip(ours, theirs, strict=True):
    assert one.keys() == other.keys()
    for name in ("step", "split", "tokens"):
      assert one.get(name) == other.get(name)
    for name in one:
      if name.endswith(("loss", "accuracy")):
        np.testing.assert_allclose(
          one[name], other[name], rtol=TOLERANCE, atol=TOLERANCE, err_msg=name
        )


def rewound(finished, folder, step):
  """A run as it was when `step` was its last checkpoint."""
  shutil.copytree(finished, folder)
  shutil.rmtree(folder / "bundle")
  for path in (folder / "checkpoints").iterdir():
    if int(path.name) > step:
      shutil.rmtree(path)
  return folder


@pytest.fixture(scope="module")
def alone(config, tmp_path_factory):
  """The workdir of a run of one process that nothing stopped."""
  workdir = tmp_path_factory.mktemp("alone") / "w"
  pretrain.run(config, str(workdir))
  return workdir


@pytest.fixture(scope="module")
def stopped(config, tmp_path_factory):
  """Code, output and workdir of two processes, one of which got SIGTERM."""
  workdir = tmp_path_factory.mktemp("stopped") / "w"
  # A run that saves often gives the signal its time.
  often = dataclasses.replace(config, checkpoint=OFTEN)
  process = start_pretrain(often, workdir)
  metrics = workdir / writers.METRICS
  wait_for(
    lambda: metrics.exists() and '"step": 8,' in metrics.read_text(), process
  )
  if process.poll() is None:
    os.kill(children(process)[1], signal.SIGTERM)
  return *end(process), workdir


def test_a_signal_to_one_stops_both_at_one_step_which_is_saved(stopped):
  code, output, workdir = stopped
  assert code == 42, output
  assert output.count("run the same command again to resume") == 1
  step = int(output.partition("stopped at step ")[2].split()[0])
  assert 8 <= step < STEPS
  assert (workdir / "checkpoints" / str(step) / "commit_success.txt").exists()
  assert lines(workdir)[-1]["step"] == step // 4 * 4


def test_only_process_0_prints(stopped):
  code, output, _ = stopped
  assert code == 42, output
  assert "8 cpu (data 1 × fsdp 1 × tensor 8) of 2 processes" in output
  assert "dropout_rng=threefry: dropout is the same on any mesh" in output
  # What a library prints on its own is not ours to silence.
  own = [line for line in output.splitlines() if line.startswith("[1]")]
  assert not [line for line in own if "error" not in line], own


@pytest.fixture(scope="module")
def resumed(stopped, config, tmp_path_factory):
  """The workdir of one process that resumes from two, and traces two steps."""
  workdir = tmp_path_factory.mktemp("resumed") / "w"
  shutil.copytree(stopped[2], workdir)
  pretrain.run(dataclasses.replace(config, profile=TRACED), str(workdir))
  return workdir


def test_one_process_resumes_from_two_and_equals_one(resumed, alone):
  """Every step of both, over the tensor axis, within the tolerance."""
  check_same_run(resumed, alone)


@pytest.fixture(scope="module")
def continued(config, alone, tmp_path_factory):
  """Two processes resume from one, on another mesh, and trace two steps."""
  workdir = rewound(alone, tmp_path_factory.mktemp("continued") / "w", RESUMED)
  process = start_pretrain(
    dataclasses.replace(config, mesh=MIXED),
    workdir,
    f"--config.profile.start_step={TRACED.start_step}",
    f"--config.profile.steps={TRACED.steps}",
  )
  return *end(process), workdir


@pytest.mark.full
def test_two_processes_resume_from_one_and_equal_one(continued, alone):
  code, output, workdir = continued
  assert code == 0, output
  assert f"resuming from step {RESUMED} of {STEPS}" in output
  assert output.count("done: ") == 1
  check_same_run(workdir, alone)
  ours, theirs = (
    bundle.read_bundle_info(folder / "bundle") for folder in (workdir, alone)
  )
  assert ours.leaves.keys() == theirs.leaves.keys()
  jax.tree.map(
    lambda left, right: np.testing.assert_allclose(left, right, atol=1e-5),
    bundle.load_params(ours),
    bundle.load_params(theirs),
  )
  assert not [path for path in workdir.iterdir() if ".mark" in path.name]


def check_trace(workdir):
  (path,) = (workdir / "profile").rglob("*.xplane.pb")
  traced = [
    dict(event.stats)["step_num"]
    for plane in jax.profiler.ProfileData.from_file(str(path)).planes
    for line in plane.lines
    for event in line.events
    if event.name == "train"
  ]
  first = TRACED.start_step
  assert traced == list(range(first, first + TRACED.steps))


# JAX 0.12 makes a type of its own as Python 3.12 would not have it, and dies
# where the warning about it is made an error.
@pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")
def test_a_trace_has_the_steps_that_were_asked_for(resumed):
  check_trace(resumed)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")
def test_so_has_the_trace_of_two_processes(continued):
  code, output, workdir = continued
  assert code == 0, output
  first, steps = TRACED.start_step, TRACED.steps
  assert f"traced steps {first} to {first + steps - 1}; view" in output
  check_trace(workdir)


@pytest.fixture(scope="module")
def agreed(tmp_path_factory):
  """The results of three processes; see `agreeing`."""
  folder = tmp_path_factory.mktemp("agreed")
  process = start(
    "tests.testing.agreeing", f"--output={folder}", processes=3, devices=2
  )
  code, output = end(process)
  assert code == 0, output
  assert sorted(output.splitlines())[-1] == "[2] done 2"
  return [json.loads((folder / f"{n}.json").read_text()) for n in range(3)]


def test_processes_agree_or_all_get_the_error(agreed):
  for number, told in enumerate(agreed):
    assert told["devices"] == [6, 2]
    assert told["total"] == 6
    assert told["alike"] == number
    assert told["fault"] == "ValueError: process 1: no store"
    assert told["disk"] == "ValueError: process 1: no disk"
    assert told["disk and data"] == "OSError: process 1: no disk"
    assert told["late"] == "TimeoutError: process 1: late"
    assert told["all fault"] == "ValueError: bad"
    assert told["facts"].startswith(
      "ValueError: x: processes differ: it is 0 on processes 0-1, 1 on process "
    )
    assert told["decide"] == [0, "said"]
    error = "OSError" if number == 0 else "ValueError"
    assert told["decided fault"] == f"{error}: full"
    assert told["gather"] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert told["shared"] is None
    assert "give a folder that all hosts share" in told["own"]
    assert told["left"] == []
    if number != 1:
      assert told["absent"].startswith("TimeoutError: no answer from process 1")


def test_a_failure_ends_the_others_and_gives_its_code(tmp_path):
  process = start(
    *("tests.testing.agreeing", f"--output={tmp_path}", "--role=fail"),
    grace=0.5,
  )
  wait_for(lambda: len(list(tmp_path.iterdir())) == 2, process)
  code, output = end(process)
  assert code == 7, output
  assert "a process exited with 7; 0 s later, killing process 0" in output


@pytest.mark.parametrize(
  "role", ["aloneV0", pytest.param("aloneR1", marks=pytest.mark.full)]
)
def test_an_error_of_one_ends_all_with_its_code_and_message(tmp_path, role):
  """And not with an abort of the runtime, which waits for all at exit."""
  process = start(
    *("tests.testing.agreeing", f"--output={tmp_path}", f"--role={role}"),
    grace=SECONDS,
  )
  code, output = end(process)
  assert code == 1, output
  failed = int(role[-1])
  other = 1 - failed
  assert (
    f"[{other}] error: process {other}: exits because process {failed} failed: "
    "it broke" in output
  )
  assert ("Traceback" in output) == (role == "aloneR1")
  assert "stack trace" not in output


def test_a_mistake_of_all_is_printed_once_by_each(tmp_path):
  process = start(
    "tests.testing.agreeing", f"--output={tmp_path}", "--role=aloneV*"
  )
  code, output = end(process)
  assert code == 1, output
  assert sorted(output.splitlines()) == [
    "[0] error: process 0: it broke",
    "[1] error: process 1: it broke",
  ]


@pytest.mark.skipif(sys.platform != "linux", reason="by the kernel of Linux")
def test_no_process_outlives_a_rehearsal_that_is_killed(tmp_path):
  process = start(
    *("tests.testing.agreeing", f"--output={tmp_path}", "--role=fail"),
    grace=SECONDS,
  )
  wait_for(lambda: len(list(tmp_path.iterdir())) == 2, process)
  started = children(process)
  process.kill()
  process.communicate(timeout=SECONDS)
  deadline = time.monotonic() + 10
  while any(map(is_running, started)):
    assert time.monotonic() < deadline
    time.sleep(0.05)


@pytest.mark.full
@pytest.mark.parametrize("mesh", [MeshConfig(data=8), MIXED, TENSOR], ids=str)
def test_two_fresh_processes_equal_one_on_every_mesh(config, mesh, tmp_path):
  config = dataclasses.replace(config, mesh=mesh, steps=16)
  code, output = end(start_pretrain(config, tmp_path / "two"))
  assert code == 0, output
  pretrain.run(config, str(tmp_path / "one"))
  check_same_run(tmp_path / "two", tmp_path / "one")


@pytest.mark.full
def test_ctrl_c_to_a_rehearsal_stops_and_saves(config, tmp_path):
  often = dataclasses.replace(config, checkpoint=OFTEN)
  process = start_pretrain(often, tmp_path)
  metrics = tmp_path / writers.METRICS
  wait_for(
    lambda: metrics.exists() and '"step": 8,' in metrics.read_text(), process
  )
  process.send_signal(signal.SIGINT)
  code, output = end(process)
  assert code == 130, output
  assert output.count("run the same command again to resume") == 1


@pytest.mark.full
def test_a_checkpoint_that_one_cannot_read_is_skipped_by_both(config, tmp_path):
  """A checkpoint of two, damaged where only the second reads it."""
  config = dataclasses.replace(config, steps=16, checkpoint=OFTEN)
  code, output = end(start_pretrain(config, tmp_path / "whole"))
  assert code == 0, output
  workdir = rewound(tmp_path / "whole", tmp_path / "damaged", 16)
  newest = workdir / "checkpoints" / "16" / "params"
  # One of them has the second's shards of the word table, which are its alone;
  # the others are indices that nobody reads once both are merged, and any of
  # them may be the largest. Small values are in the merged index.
  for path in (newest / "ocdbt.process_1" / "d").iterdir():
    path.write_bytes(path.read_bytes()[:10])
  code, output = end(start_pretrain(config, workdir))
  assert code == 0, output
  assert "checkpoint 16 is damaged: process 1: " in output
  assert "resuming from step 8 of 16" in output
  check_same_run(workdir, tmp_path / "whole")
