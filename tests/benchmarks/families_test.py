# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark runs, and prints what it compares."""

import re
import subprocess
import sys

import pytest

from tests.testing.commands import ROOT


def run(*arguments):
  small = ("--seq_length=128", "--batch_size=1", "--vocab_size=1024")
  command = (sys.executable, "-m", "benchmarks.families", *small, *arguments)
  return subprocess.run(command, cwd=ROOT, text=True, capture_output=True)


@pytest.mark.full
def test_a_family_is_compared_per_flop():
  done = run("--layers=1", "--rounds=1")
  assert done.returncode == 0, done.stderr[-2000:]
  found = re.search(
    r"modernbert / bert, seconds per FLOP: .* turns (\S+)", done.stdout
  )
  assert found
  assert float(found[1]) > 0
  assert re.search(r"^bert +median \S+ s/step, \S+ GFLOP", done.stdout, re.M)


def test_a_size_that_one_of_them_lacks_is_refused():
  done = run("--size=68m")
  assert done.returncode
  assert "--size=68m is no size of both BERT and modernbert" in done.stderr


@pytest.mark.full
def test_compiles_of_layers_are_compared_with_those_of_one():
  done = run("--family=albert", "--compile_only", "--layers=2", "--rounds=1")
  assert done.returncode == 0, done.stderr[-2000:]
  for what in ("seconds", "processor seconds"):
    found = re.search(
      rf"^2 layers \S+, 1 layer \S+ {what} to compile: .* 1 turns (\S+)",
      done.stdout,
      re.M,
    )
    assert found
    assert float(found[1]) > 0
