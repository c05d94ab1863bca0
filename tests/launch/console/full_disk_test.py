# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A full disk is one line with a place and a fix, for every command."""

import errno
import os
import re

import pytest
from absl import flags

from launch import cli
from launch.console import full_disk

FULL = os.strerror(errno.ENOSPC)


@pytest.fixture
def values():
  made = flags.FlagValues()
  flags.DEFINE_string("output", "out", "", made)
  flags.DEFINE_string("workdir", None, "", made)
  return made


@pytest.mark.parametrize(
  ("error", "place"),
  [
    (OSError(errno.ENOSPC, FULL, "run/a"), "run/a"),
    (OSError(errno.ENOSPC, FULL, b"run/a"), "run/a"),
    (OSError(errno.ENOSPC, FULL), "--output=out or temporary files in /.*"),
    (RuntimeError(f"I/O error: {FULL} (os error 28)"), "--output=out or .*"),
  ],
)
def test_a_full_disk_is_told_of_with_a_place_and_a_fix(error, place, values):
  said = full_disk.explain(error, values)
  assert re.fullmatch(
    f"cannot write {place}: {FULL}; make room there, and run the same command "
    "again",
    said,
  )


@pytest.mark.parametrize(
  "error",
  [
    f"cannot write x: {FULL}; do so",
    OSError(f"cannot write x: {FULL}; do so"),
    ValueError(f"cannot write x: {FULL}; do so"),
    FileNotFoundError(errno.ENOENT, "No such file", "x"),
    RuntimeError("No"),
  ],
)
def test_what_has_a_line_of_its_own_keeps_it(error, values):
  assert full_disk.explain(error, values) == ""


def test_every_command_says_so(capsys):
  with pytest.raises(SystemExit):
    cli.fail(OSError(errno.ENOSPC, FULL, "run/a"))
  assert capsys.readouterr().err.startswith("error: cannot write run/a: No spa")
