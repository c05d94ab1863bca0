# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/ticket_triage.md run as they are printed."""

import json
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


def tell_bound(folder, tickets):
  """What the page prints of (probability, whether it is right) of tickets."""
  for name, lines in {
    "labels": [{"label": "a", "probability": p} for p, _ in tickets],
    "truth": [{"category": "a" if right else "b"} for _, right in tickets],
  }.items():
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / f"{name}.jsonl").write_text(text)
  # Not the first block, which needs the data set.
  code = [code for language, code in blocks() if language == "python"][1:]
  return subprocess.run(
    [sys.executable, "-c", "".join(code)],
    cwd=folder,
    capture_output=True,
    text=True,
    check=True,
  ).stdout


def test_a_bound_is_told_of_tickets_that_did_not_choose_it(tmp_path):
  choosing = [(0.9, True), (0.8, True), (0.3, False), (0.8, True)]
  others = [(0.9, False), (0.8, True), (0.7, True), (0.2, False)] * 2
  said = tell_bound(tmp_path, choosing + others)
  assert "4 tickets choose the bound, 8 others tell" in said
  assert "all answers: 50.0% right" in said
  assert "the bound: a probability of 0.800" in said
  assert "above it: 50.0% need no person" in said
  assert "wrong among these: 50.0%" in said
  assert "  4 × b was answered by a" in said


@pytest.mark.parametrize(
  "tickets",
  [
    [(0.9, False), (0.8, True)] + [(0.95, True)] * 4,
    # The right one of two equal answers is not above the other.
    [(0.9, True), (0.9, False)] + [(0.95, True)] * 4,
    [(0.9, True), (0.8, True)] + [(0.7, True)] * 4,
  ],
)
def test_every_ticket_may_need_a_person(tmp_path, tickets):
  said = tell_bound(tmp_path, tickets)
  assert "every ticket needs a person" in said
  assert "need no person" not in said


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
  assert float(re.search(r"above it: ([\d.]+)% need", said)[1]) > 40
