# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The command: folders anywhere among the flags, and one line otherwise."""

import pytest

from launch.compare.__main__ import read_runs
from tests.testing.commands import run_command
from tests.testing.compared import write_finetune, write_pretrain


def test_flags_may_follow_the_folders(tmp_path):
  folders = [str(write_pretrain(tmp_path / name)) for name in "ab"]
  page = tmp_path / "compare.html"
  got = run_command("launch.compare", *folders, f"--output={page}")
  assert got.returncode == 0, got.stderr
  assert "| validation mlm loss" in got.stdout
  assert got.stdout.endswith(f"the page is {page}\n")
  assert page.read_text().startswith("<!doctype html>")


def test_runs_that_cannot_be_compared_are_refused(tmp_path):
  run = str(write_pretrain(tmp_path / "a"))
  tuned = str(write_finetune(tmp_path / "b", [0.5]))
  for folders, message in (
    ([run], "the folders of 1 runs are given; give 2 to 8"),
    ([run] * 9, "the folders of 9 runs"),
    ([run, f"{run}/"], "is given twice"),
    ([run, tuned], "a is a pretrain run and .*b a finetune run"),
  ):
    with pytest.raises(ValueError, match=message):
      read_runs(folders)
