# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the tiers install before they run, as make itself says."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def dry_run(target, *variables):
  """Return the commands that make would run."""
  return subprocess.run(
    ["make", "--dry-run", target, f"PYTHON={sys.executable}", *variables],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout


@pytest.mark.parametrize("target", ["test", "test-full"])
def test_a_tier_installs_what_it_compares_with_first(target):
  lines = dry_run(target, "VENV=.venv/none").splitlines()
  torch = next(i for i, line in enumerate(lines) if "torch==2.13.0" in line)
  sentences = next(
    i for i, line in enumerate(lines) if "sentence-transformers==" in line
  )
  assert "--no-deps" in lines[sentences]  # which name a PyTorch with CUDA
  tests = next(i for i, line in enumerate(lines) if "-m pytest" in line)
  assert torch < sentences < tests


def test_no_pytorch_is_said_and_no_failure(tmp_path):
  """As for a Python that has none: nothing offers this version."""
  (tmp_path / "bin").mkdir()
  # An interpreter that finds and installs nothing, in a whole environment.
  (tmp_path / "bin" / "python").symlink_to("/bin/false")
  (tmp_path / ".installed-core").touch()
  got = subprocess.run(
    [
      *("make", "torch", "TORCH=0.0.0", "TORCH_FLAGS=--no-index"),
      *(f"PYTHON={sys.executable}", f"VENV={tmp_path}", "EXTRAS=core"),
      *("--old-file=setup.py", f"BIN={tmp_path}/bin"),
    ],
    cwd=ROOT,
    env={"PATH": "/usr/bin:/bin", "PIP_FIND_LINKS": ""},
    capture_output=True,
    text=True,
    check=False,
  )
  assert got.returncode == 0, got.stderr
  assert "PyTorch is not installed for Python 3." in got.stderr
  assert "sentence-transformers" not in got.stderr  # what it needs is said
