# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/ticket_triage.md run as they are printed."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ticket_triage.md").read_text(encoding="utf-8")


def blocks():
  """(language, code) of every block; Python goes on where it was."""
  return re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_python_is_well_formed():
  found = blocks()
  assert {language for language, _ in found} == {"sh", "python"}
  for language, code in found:
    if language == "python":
      compile(code, "ticket_triage.md", "exec")


@pytest.mark.full
def test_the_page_runs(real_data, published_weights, tmp_path, capsys):
  del published_weights  # skips where the package is not installed
  path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
  environment = {
    **os.environ,
    "PATH": path,
    "PYTHONPATH": str(ROOT),
    "BANKING77": str(real_data / "banking77"),
  }
  environment.pop("XLA_FLAGS", None)
  python, said = "", ""
  for language, code in blocks():
    if language == "sh":
      command = ["sh", "-e", "-c", code]
    else:
      python += code
      command = [sys.executable, "-c", python]
    got = subprocess.run(
      command, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert got.returncode == 0, got.stderr[-3000:]
    said = got.stdout
  with capsys.disabled():
    print(f"\n{said}")
  right = float(re.search(r"all answers: ([\d.]+)% right", said)[1])
  assert right > 80
  assert float(re.search(r"wrong: ([\d.]+)% need", said)[1]) > 40
