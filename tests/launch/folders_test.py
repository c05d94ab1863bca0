# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from launch import finetune, folders, pretrain, sweep

ROOT = pathlib.Path(__file__).parents[2]
UNREAD: Any = None  # a config; the folder is looked at before it
RUNS = {
  "pretrain": lambda folder: pretrain.run(UNREAD, folder),
  "finetune": lambda folder: finetune.run(UNREAD, "nowhere", folder),
  "sweep": lambda folder: sweep.run(UNREAD, folder),
}


@pytest.mark.parametrize("launcher", RUNS)
@pytest.mark.parametrize("address", ["gs://b/run", "s3://b", "file:///run"])
def test_no_run_takes_an_address_for_a_folder(
  launcher, address, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match="mount it") as error:
    RUNS[launcher](address)
  assert f"--workdir={address}" in str(error.value)
  assert "\n" not in str(error.value)
  assert list(tmp_path.iterdir()) == []


def test_nor_does_a_bundle(tmp_path):
  with pytest.raises(ValueError, match="--bundle=gs://b/bundle"):
    pretrain.run(UNREAD, str(tmp_path / "run"), "gs://b/bundle")
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  "folder", ["run", "/buckets/b/run", "a:b/c", "gs:/b", pathlib.Path("x"), None]
)
def test_folders_are_taken(folder):
  folders.check_folder("workdir", folder)


def test_it_is_one_line_and_exit_1_and_nothing_is_made(tmp_path):
  done = subprocess.run(
    [
      *(sys.executable, "-m", "launch.pretrain"),
      f"--config={ROOT}/configs/pretrain.py:size=tiny",
      "--config.data.store=nowhere",
      "--workdir=gs://bucket/run",
    ],
    cwd=tmp_path,
    env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert line.startswith("error: --workdir=gs://bucket/run")
  assert "/buckets/bucket/run" in line
  assert list(tmp_path.iterdir()) == []
