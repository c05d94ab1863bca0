# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A command is run as in a process of its own, and ends in any case."""

import pytest

from tests.testing.commands import run_command


def write(folder, text):
  (folder / "said.py").write_text(text)
  return folder


def test_a_command_has_its_input_its_outputs_and_its_code(tmp_path):
  text = (
    "import sys\nprint(input())\nprint('b', file=sys.stderr)\nsys.exit(3)\n"
  )
  found = run_command("said", cwd=write(tmp_path, text), stdin="a\n")
  assert (found.stdout, found.stderr, found.returncode) == ("a\n", "b\n", 3)


def test_a_command_that_hangs_is_killed_and_tells_what_it_said(tmp_path):
  text = "import time\nprint('begun')\ndef wait():\n  time.sleep(600)\nwait()\n"
  with pytest.raises(AssertionError, match=r"killed after 0\.5 s") as caught:
    run_command("said", "--a=b", cwd=write(tmp_path, text), limit=0.5)
  said = str(caught.value)
  assert said.startswith("said --a=b was killed")
  assert "begun" in said
  assert 'said.py", line 4 in wait' in said
  # The next command runs as ever.
  found = run_command("said", cwd=write(tmp_path, "print('next')\n"))
  assert (found.stdout, found.returncode) == ("next\n", 0)
