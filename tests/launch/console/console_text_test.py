# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A path that Python cannot read is one line, and any text can be printed."""

import os
import re
import subprocess
import sys

import pytest

from launch.console import console_text

ASCII = {"PYTHONUTF8": "0", "LC_ALL": "C"}
PROGRAM = """
import sys
from launch.console import console_text
console_text.print_all()
print(console_text.find_unreadable(sys.argv), "\\u2013 printed")
"""


@pytest.mark.parametrize(
  ("argument", "environment", "line"),
  [
    ("--output=größe", ASCII, "read as ascii.*; set PYTHONUTF8=1, or LC_ALL="),
    (b"--output=\xff", {}, r"the argument --output=\\xff is not in UTF-8; ren"),
    ("--output=größe", {}, "^ – printed"),
    ("--output=plain", ASCII, r"^ \\u2013 printed"),
  ],
)
def test_a_path_that_is_no_text_is_one_line(argument, environment, line):
  said = subprocess.run(
    [sys.executable, "-c", PROGRAM, argument],
    env={**os.environ, "PYTHONUTF8": "1", **environment},
    stdout=subprocess.PIPE,
    check=True,
  ).stdout.decode()
  assert len(said.splitlines()) == 1
  assert re.search(line, said), said


def test_a_working_folder_is_a_path_as_well(tmp_path, monkeypatch):
  folder = os.fsencode(tmp_path) + b"/\xff"
  os.mkdir(folder)
  monkeypatch.chdir(os.fsdecode(folder))
  assert "the working folder" in console_text.find_unreadable(["x"])
