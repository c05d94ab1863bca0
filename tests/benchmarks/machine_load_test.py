# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What others take of a machine is what is neither idle nor a row's own."""

import os

import pytest

from benchmarks import machine_load
from benchmarks.machine_load import LIMIT, Reading

# user nice system idle iowait irq softirq steal, and two parts of the first.
LINE = "cpu  300 20 80 500 40 10 20 30 7 7\ncpu0 1 1 1 1 1 1 1 1 1 1\n"


def test_time_is_idle_or_busy_in_seconds(tmp_path):
  path = tmp_path / "stat"
  path.write_text(LINE)
  second = os.sysconf("SC_CLK_TCK")
  found = machine_load.read(path)
  assert found
  assert found.all == pytest.approx(1000 / second)
  assert found.busy == pytest.approx(460 / second)
  assert found.own > 0
  assert machine_load.read(tmp_path / "none") is None


def test_others_took_what_is_busy_and_not_its_own():
  before = Reading(all=100.0, busy=60.0, own=5.0)
  share = machine_load.share_of_others
  assert share(before, Reading(120.0, 76.0, 15.0)) == pytest.approx(0.3)
  assert share(before, Reading(120.0, 65.0, 15.0)) == 0.0  # ticks are coarse
  assert share(before, before) is None
  assert share(None, before) is None
  marked = [machine_load.is_busy(each) for each in (None, LIMIT, LIMIT + 0.01)]
  assert marked == [False, False, True]
