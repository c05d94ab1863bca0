# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The progress line, on a terminal and in a file."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from bertjax.train import progress
from tests.testing import step_records


def make_progress(stream, **settings):
  console = Console(file=stream, width=200, soft_wrap=True)
  meter = progress.Meter(flops=lambda _: 1e9, peak=8e9)
  return progress.Progress(
    10,
    meter,
    shown=("mlm_loss", "nsp_loss"),
    console=console,
    **{"every_seconds": 0.0, **settings},
  )


def test_a_line_tells_how_the_run_is_doing():
  stream = io.StringIO()
  told = make_progress(stream)
  for step in range(1, 4):
    told.record(step_records.make(step))
  told.close()
  last = stream.getvalue().splitlines()[-1]
  # Steps 2 and 3, of weights 3 and 1.
  assert "step 3/10" in last
  assert f"mlm loss {(7 / 2 * 3 + 7 / 3) / 4:.3f}" in last
  assert "nsp" not in last
  assert "200 tokens/s" in last
  assert "2.00 GFLOP/s  MFU 25.0%" in last
  assert "input wait 20%" in last
  assert "ETA 0:04" in last
  assert told.tokens_per_second == pytest.approx(200)


def test_plain_lines_come_every_few_seconds_and_at_the_end():
  stream = io.StringIO()
  told = make_progress(stream, every_seconds=1e6)
  for step in range(1, 11):
    told.record(step_records.make(step))
  lines = stream.getvalue().splitlines()
  assert [line.split()[1] for line in lines] == ["1/10", "10/10"]


def test_speed_spans_restarts():
  first = make_progress(io.StringIO())
  for step in range(1, 6):
    first.record(step_records.make(step))
  second = make_progress(io.StringIO())
  second.restore(first.snapshot())
  second.record(step_records.make(6, seconds=50.0, first=True))
  second.record(step_records.make(7))
  assert second.tokens_per_second == pytest.approx(200)


def test_a_listener_is_told_how_far_a_run_is():
  assert progress.make_tellers(10) == ()
  told = []
  with progress.told_to(told.append):
    (teller,) = progress.make_tellers(10)
  for step in range(1, 11):
    teller.record(step_records.make(step))
  # The first step and the last; those between came within a second.
  assert told == [
    "step 1/10  loss 1.0000",
    "step 10/10  loss 0.1000  200 tokens/s",
  ]


def test_a_listener_is_told_of_several_runs_as_of_one():
  told = []
  record = step_records.make(10)
  two = {
    "loss": (np.asarray([1.0, 5.0]), np.asarray([1.0, 1.0])),
    "tokens": (np.asarray([100.0, 300.0]), np.asarray([1.0, 1.0])),
  }
  progress.Teller(10, told.append).record(
    dataclasses.replace(record, metrics=two)
  )
  assert told == ["step 10/10  loss 3.0000  800 tokens/s"]
