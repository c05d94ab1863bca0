# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A command in several processes of this machine."""

import os
import pathlib
import subprocess
import sys

from tests.testing import compiling

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 240


def start(*command, processes=2, devices=4, **settings):
  environment = {
    **os.environ,
    "XLA_FLAGS": compiling.FLAGS,
  }
  return subprocess.Popen(
    [
      *(sys.executable, "-m", "launch.rehearse"),
      f"--processes={processes}",
      f"--devices_per_process={devices}",
      *(f"--{name}={value}" for name, value in settings.items()),
      "--",
      *command,
    ],
    cwd=ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def end(process):
  output, _ = process.communicate(timeout=SECONDS)
  return process.returncode, output
