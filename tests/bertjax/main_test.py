# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What hides a package of bertjax's is one line, however it is started."""

import os
import pathlib
import subprocess
import sys

import pytest

from bertjax import __main__ as main

ROOT = pathlib.Path(__file__).parents[2]


def python(*arguments, folder, path: object = ROOT):
  return subprocess.run(
    [sys.executable, *arguments],
    cwd=folder,
    env={**os.environ, "PYTHONPATH": str(path)},
    capture_output=True,
    text=True,
    check=False,
  )


def own(folder, name):
  """Make a package `name` of a user's own."""
  (folder / name).mkdir()
  (folder / name / "__init__.py").touch()
  return folder / name


def test_nothing_is_hidden_here():
  assert main.find_hidden() is None


@pytest.mark.parametrize("name", ["configs", "data_pipelines"])
def test_a_launcher_in_a_folder_with_a_package_of_ours_is_one_line(
  name, tmp_path
):
  other = own(tmp_path, name)
  got = python("-m", "launch.predict", "--help", folder=tmp_path)
  assert got.returncode == 1
  assert got.stderr.splitlines() == [
    f"error: {other} hides bertjax's own {ROOT / name}; run `bertjax COMMAND` "
    "instead of `python -m launch.COMMAND`, because it does not look in the "
    "working folder"
  ]


@pytest.mark.parametrize("name", ["configs", "launch"])
def test_what_comes_first_on_the_path_is_one_line(name, tmp_path):
  other = own(tmp_path, name)
  path = f"{tmp_path}{os.pathsep}{ROOT}"
  got = python("-m", "bertjax", "--help", folder=ROOT.parent, path=path)
  assert got.returncode == 1
  assert got.stderr.splitlines() == [
    f"error: {other} hides bertjax's own {ROOT / name}; take {tmp_path} off "
    "PYTHONPATH"
  ]


def test_the_command_does_not_look_in_the_working_folder(tmp_path):
  for name in ("configs", "launch"):
    own(tmp_path, name)
  script = "from bertjax.__main__ import run_script; run_script()"
  # -P as in a console script, whose own folder takes the place of this one.
  got = python("-P", "-c", script, "--version", folder=tmp_path)
  assert (got.returncode, got.stderr) == (0, "")
  assert got.stdout.startswith("bertjax ")


def test_processes_of_the_command_do_not_look_there_either(
  tmp_path, monkeypatch
):
  own(tmp_path, "launch")
  monkeypatch.setattr(main, "run", lambda: None)
  monkeypatch.setenv("PYTHONSAFEPATH", "")
  main.run_script()
  got = python("-m", "launch.doctor", "--help", folder=tmp_path)
  assert "--store" in got.stdout, got.stderr


def test_a_folder_that_is_no_package_hides_nothing(tmp_path):
  (tmp_path / "configs").mkdir()
  got = python("-m", "launch.doctor", "--help", folder=tmp_path)
  assert "--store" in got.stdout, got.stderr


def test_importing_a_launcher_leaves_the_user_their_own_configs(tmp_path):
  own(tmp_path, "configs")
  got = python("-c", "import launch.cli, configs", folder=tmp_path)
  assert got.returncode == 0, got.stderr


@pytest.mark.parametrize(
  ("file", "is_line"),
  [("x/jax/_src/config.py", True), ("x/mine/config.py", False)],
)
def test_a_variable_that_jax_cannot_read_is_a_line(capsys, file, is_line):
  code = compile("raise ValueError('bad value')", file, "exec")
  with pytest.raises(ValueError, match="bad value") as caught:
    exec(code, {})
  main._explain(caught.type, caught.value, caught.tb)
  told = capsys.readouterr().err
  assert told.startswith("error: bad value; correct the variable") == is_line
  assert ("Traceback" in told) != is_line
