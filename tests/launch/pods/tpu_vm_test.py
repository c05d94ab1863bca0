# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The scripts, run against a fake gcloud whose workers are folders."""

import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from launch.pods import buckets, tpu_vm
from tests.testing.pod_documents import make_workload
from tests.testing.stand_ins import (
  GCLOUD,
  PYTHON,
  PYTHON3,
  SECONDS,
  UV,
  WORKERS,
  executable,
  mounting_tools,
  wait_for,
)


@pytest.fixture
def worker(tmp_path):
  """A worker on which everything is installed."""
  executable(tmp_path / "bertjax-env" / "bin" / "python", PYTHON)
  (tmp_path / "bertjax").mkdir()
  tools = mounting_tools(tmp_path / "tools")
  (tmp_path / "tools" / "gcsfuse").symlink_to("gcsfuse.deb")
  script = tmp_path / "worker.sh"

  def run(verb, codes=(), pause=0, **settings):
    script.write_text(tpu_vm.worker_script(make_workload(**settings)))
    (tmp_path / "codes").write_text("".join(f"{code}\n" for code in codes))
    environment = os.environ | {
      "HOME": str(tmp_path),
      "PAUSE_SECONDS": str(pause),
      **tools,
    }
    return subprocess.run(
      ["bash", script, verb],
      env=environment,
      capture_output=True,
      text=True,
      timeout=SECONDS,
      check=False,
    )

  return run


@pytest.mark.parametrize(
  ("codes", "runs", "last"),
  [
    ([0], 1, 0),
    ([1], 1, 1),
    ([42, 0], 2, 0),
    ([134, 137, 255, 0], 4, 0),
    ([137, 1, 0], 2, 1),
    ([42] * 9, 4, 42),  # three restarts
  ],
)
def test_only_restart_codes_start_the_command_again(
  worker, tmp_path, codes, runs, last
):
  done = worker("run", codes, max_restarts=3)
  assert done.returncode == last, done.stdout + done.stderr
  asked = (tmp_path / "asked").read_text().splitlines()
  command = list(make_workload().command[1:])
  assert asked == command * runs
  # Also while what mounted the bucket is still there, as it always is.
  assert worker("status").stdout == f"exit {last}\n"
  assert len((tmp_path / "mounts").read_text().splitlines()) == 1


def test_a_bucket_that_does_not_open_is_a_mistake(worker, tmp_path):
  (tmp_path / "forbidden").touch()
  assert worker("run").returncode == 1
  assert worker("status").stdout == "exit 1\n"
  assert not (tmp_path / "asked").exists()


def test_stop_waits_until_it_is_saved_and_does_not_restart(worker, tmp_path):
  (tmp_path / "waits").touch()
  worker("start")
  wait_for(tmp_path / "waiting")
  assert worker("status").stdout == "running\n"
  assert "is running already" in worker("start").stdout
  assert worker("install").returncode != 0
  assert worker("stop").returncode == 0
  assert worker("status").stdout == "exit 42\n"
  asked = (tmp_path / "asked").read_text().splitlines()
  assert asked == [*make_workload().command[1:], "saved"]


def test_stop_holds_between_two_starts(worker, tmp_path):
  worker("start", [42], pause=1)
  wait_for(tmp_path / "asked")
  time.sleep(0.3)
  assert worker("stop").returncode == 0
  assert worker("status").stdout == "exit 42\n"
  asked = (tmp_path / "asked").read_text().splitlines()
  assert asked == list(make_workload().command[1:])


def test_words_and_variables_arrive_as_they_are(worker, tmp_path):
  strange = '--config.note=it\'s $HOME `x` "y" *'
  worker("run", arguments=(strange,), environment=("A=a  'b' $HOME",))
  assert (tmp_path / "asked").read_text().splitlines()[-1] == strange
  variables = (tmp_path / "environment").read_text().splitlines()
  assert "A=a  'b' $HOME" in variables
  assert "JAX_PLATFORMS=tpu,cpu" in variables


class Cloud(NamedTuple):
  """A fake cloud in a folder, which calls the script."""

  fake: pathlib.Path
  run: Callable[..., subprocess.CompletedProcess[str]]

  def __call__(self, *words, **settings):
    return self.run(*words, **settings)


@pytest.fixture
def cloud(tmp_path):
  """A repository, and a cloud in a folder beside it."""
  fake = tmp_path / "fake"
  for name, text in (
    ("gcloud", GCLOUD),
    ("python3", PYTHON3),
    ("uv", UV),
    ("run_python", PYTHON),
  ):
    executable(fake / "bin" / name, text)
  tools = mounting_tools(fake / "tools")
  repository = tmp_path / "repository"
  repository.mkdir()
  (repository / "setup.py").touch()
  identity = ("-c", "user.name=a", "-c", "user.email=a@b")
  for words in (
    ("init", "--quiet"),
    ("add", "setup.py"),
    (*identity, "commit", "--quiet", "--no-verify", "--message=a"),
  ):
    subprocess.run(["git", *words], cwd=repository, check=True)
  script = tmp_path / "pod.sh"

  def run(*words, text=None, **extra):
    script.write_text(
      text or tpu_vm.write(make_workload(spot=True), zone="us-west4-a")
    )
    return subprocess.run(
      ["bash", script, *words],
      cwd=repository,
      env=os.environ
      | {
        "FAKE": str(fake),
        **tools,
        "PATH": f"{fake / 'bin'}:{tools['PATH']}",
        "POLL_SECONDS": "0.1",
        "PAUSE_SECONDS": "0",
      }
      | extra,
      capture_output=True,
      text=True,
      timeout=SECONDS,
      check=False,
    )

  return Cloud(fake, run)


def calls(cloud, verb):
  lines = (cloud.fake / "calls").read_text().splitlines()
  return [line for line in lines if f" {verb} " in f"{line} "]


def test_watch_starts_the_same_command_on_every_worker_until_done(cloud):
  workload = make_workload("v4:4x4x4", slices=2)
  text = tpu_vm.write(workload, zone="us-central2-b")
  done = cloud("watch", text=text)
  assert done.returncode == 0, done.stdout + done.stderr
  (create,) = calls(cloud, "create")
  assert create == (
    "compute tpus queued-resources create bert --zone=us-central2-b "
    "--node-count=2 --node-prefix=bert --accelerator-type=v4-128 "
    "--runtime-version=tpu-ubuntu2204-base"
  )
  for node in ("bert-0", "bert-1"):
    for number in range(WORKERS):
      home = cloud.fake / f"{node}-w{number}"
      wait_for(home / "bertjax-run" / "exit")
      asked = (home / "asked").read_text().splitlines()
      assert asked == list(workload.command[1:])
      assert "[tpu,gcs]" in (home / "installed").read_text()
      assert (home / "bertjax" / "setup.py").exists()
      assert (home / "mounts").read_text().splitlines() == [
        " ".join((*buckets.GCSFUSE_FLAGS, "bucket", "/buckets/bucket"))
      ]
  # The tools of all workers are in one folder: who comes first installs them.
  installer, *_ = cloud.fake.glob("*/tee")
  source, key, *_ = installer.read_text().splitlines()
  assert {source, key} > {"keys"}


def test_a_preempted_slice_is_requested_again(cloud):
  (cloud.fake / "state").write_text("SUSPENDED\n")
  done = cloud("watch")
  assert done.returncode == 0, done.stdout + done.stderr
  assert len(calls(cloud, "delete")) == 1
  (create,) = calls(cloud, "create")
  assert "--node-id=bert" in create
  assert create.endswith("--spot")


def test_a_mistake_ends_the_watch(cloud):
  assert cloud("up").returncode == 0
  wait_for(cloud.fake / "bert-w0" / "bertjax-run" / "exit")
  (cloud.fake / "bert-w0" / "codes").write_text("1\n")
  (cloud.fake / "bert-w0" / "bertjax-run" / "exit").unlink()
  assert cloud("start").returncode == 0
  done = cloud("watch")
  assert done.returncode == 1
  assert "exit 1" in done.stderr
  assert len(calls(cloud, "create")) == 1


def test_an_error_of_gcloud_ends_a_start(cloud):
  executable(cloud.fake / "bin" / "git", "#!/bin/sh\nexit 1\n")
  assert cloud("up").returncode != 0
  assert calls(cloud, "scp") == []


def test_waiting_ends_when_the_slices_cannot_come(cloud):
  done = cloud("up", NEXT_STATE="FAILED")
  assert done.returncode == 1
  assert "bert is FAILED" in done.stderr


def test_words_that_are_no_command_are_refused(cloud):
  for words in ((), ("launch",)):
    done = cloud(*words)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_the_loop_ends_with_its_signal(worker, tmp_path):
  # As a machine that shuts down sends it: to the loop, which hands it on.
  (tmp_path / "waits").touch()
  worker("start")
  wait_for(tmp_path / "waiting")
  number = int((tmp_path / "bertjax-run" / "pid").read_text())
  os.kill(number, signal.SIGTERM)
  wait_for(tmp_path / "bertjax-run" / "exit")
  assert (tmp_path / "bertjax-run" / "exit").read_text() == "42\n"
