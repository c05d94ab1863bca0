# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from bertjax.parallel import multihost
from launch.hosts import clocks


def test_one_process_has_one_clock(monkeypatch):
  monkeypatch.setattr(multihost, "all_gather", pytest.fail)
  assert clocks.measure_skew() == 0.0


def test_the_skew_is_between_the_first_clock_and_the_last(monkeypatch):
  answers = [[None] * 3, [100.0, 97.5, 101.0]]
  monkeypatch.setattr(multihost, "process_count", lambda: 3)
  monkeypatch.setattr(multihost, "all_gather", lambda *_: answers.pop(0))
  assert clocks.measure_skew() == 3.5
  assert not answers, "they wait for each other before they look"
