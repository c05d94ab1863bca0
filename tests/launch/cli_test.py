# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A launcher disables a missing TPU only, and says a mistake in one line."""

import fnmatch
import glob
import importlib.util
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from launch import cli
from launch.console import interrupt
from tests.testing.commands import run_command

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
  ("device", "disabled"),
  [
    ("null", True),
    ("accel0", False),
    ("vfio", False),
    ("nvidia0", False),
    ("kfd", False),
    ("dxg", False),
  ],
)
def test_a_device_of_any_maker_is_left_to_jax(monkeypatch, device, disabled):
  monkeypatch.setenv("JAX_PLATFORMS", "to be put back")
  monkeypatch.delenv("JAX_PLATFORMS")
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
  monkeypatch.setattr(
    glob, "glob", lambda how: fnmatch.filter([f"/dev/{device}"], how)
  )
  monkeypatch.delitem(sys.modules, "jax", raising=False)
  cli._disable_missing_tpu()
  assert (os.environ.get("JAX_PLATFORMS") == "cpu") == disabled


def test_an_address_is_refused_in_one_line_before_anything_is_written(tmp_path):
  done = run_command(
    "launch.pretrain",
    f"--config={ROOT}/configs/pretrain.py:size=tiny",
    "--config.data.store=nowhere",
    "--workdir=gs://bucket/run",
    cwd=tmp_path,
  )
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert line.startswith("error: --workdir=gs://bucket/run")
  assert "/buckets/bucket/run" in line
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  "command",
  ["bertjax --help", "launch.prepare --help", "launch.prepare --output=store"],
)
def test_a_command_whose_output_nobody_reads_ends_quietly(command, tmp_path):
  (tmp_path / "a.txt").write_text("The cat sat. The dog ran.\n")
  reading, writing = os.pipe()
  os.close(reading)
  module, flag = command.split()
  done = subprocess.run(
    [sys.executable, "-m", module, flag, "--corpus=a.txt"],
    cwd=tmp_path,
    env={**os.environ, "PYTHONPATH": str(ROOT)},
    stdout=writing,
    stderr=subprocess.PIPE,
    text=True,
  )
  os.close(writing)
  assert done.returncode == interrupt.UNREAD
  told = "" if flag == "--help" else "stopped, because nobody reads the output"
  assert done.stderr.startswith(told)
  assert len(done.stderr.splitlines()) == bool(told)


def test_a_tilde_behind_a_flag_is_the_home_folder(monkeypatch):
  monkeypatch.setenv("HOME", "/home/me")
  for given, expected in (
    ("--output=~/store", "--output=/home/me/store"),
    ("--config.data.store=~/store", "--config.data.store=/home/me/store"),
    ("--output=~", "--output=/home/me"),
    ("--text=~ 3 = 4", "--text=~ 3 = 4"),
    ("--output=a~/b", "--output=a~/b"),
    ("~/a=~/b", "~/a=~/b"),
  ):
    assert cli._expand_home(given) == expected


@pytest.mark.parametrize(
  ("arguments", "line"),
  [
    ((), "error: give --corpus=… and --output=…; --help explains the flags"),
    (("--corpus=x",), "error: give --output=…; --help explains the flags"),
  ],
)
def test_a_missing_flag_is_named_and_nothing_else(arguments, line):
  done = run_command("launch.prepare", *arguments)
  assert done.returncode == 1
  assert done.stderr == f"{line}\n"


def test_help_lists_the_flags_that_all_commands_share():
  done = run_command("launch.prepare", "--help")
  for flag in ("--allow:", "--[no]strict:", "--thresholds:", "--corpus:"):
    assert f"  {flag}" in done.stdout, flag


def test_ctrl_c_says_at_once_that_the_run_stops(capfd):
  """The first step may compile for minutes after it."""
  with cli.Signals() as signals:
    signal.raise_signal(signal.SIGTERM)
    assert signals.requested()
    assert capfd.readouterr().err == ""
  with cli.Signals() as signals:
    signal.raise_signal(signal.SIGINT)
    assert signals.requested()
    assert "Ctrl-C again stops at once" in capfd.readouterr().err
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
  ("said", "line"),
  [
    ("invalid literal for int() with base 10: 'a b'", "'a b' is no int"),
    ("could not convert string to float: 'x'", "'x' is no float"),
    ("flag --x=3: it is too large", "flag --x=3: it is too large"),
  ],
)
def test_a_value_that_is_no_number_is_said_so(said, line):
  assert cli._unwrap_message(ValueError(said)) == line
