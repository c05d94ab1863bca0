# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What differs is named; alone there is nothing to agree on."""

import pytest

from bertjax.parallel import multihost


def test_a_process_alone_calls_and_raises_as_it_is():
  assert multihost.processes() == 1
  assert multihost.alike("x", lambda: 3, facts=lambda made: {"x": made}) == 3
  assert multihost.decide("x", lambda: (1, 2)) == (1, 2)
  with pytest.raises(OSError, match="no disk"):
    multihost.decide("x", lambda: raising(OSError("no disk")))
  assert multihost.gather("x", 1) == [1]


def raising(error):
  raise error


def test_equal_facts_are_no_disagreement():
  assert multihost.disagreement([{"a": 1, "b": [2]}] * 3) == ""
  assert multihost.disagreement([]) == ""


def test_processes_of_each_value_are_named_in_spans():
  told = multihost.disagreement(
    [{"a": 1}, {"a": 2}, {"a": 1}, {"a": 1}, {}, {"a": 1}]
  )
  assert (
    "a is 1 on processes 0, 2-3, 5, 2 on process 1, absent on process 4;"
  ) in told


def test_many_differences_stay_one_readable_line():
  left = {f"source {number}": "a" for number in range(40)}
  right = dict.fromkeys(left, "b")
  told = multihost.disagreement([left, right])
  assert "source 4 " in told
  assert "source 5 " not in told
  assert "and 35 more" in told
  assert "\n" not in told


def test_a_config_is_named_by_its_flags():
  nested = {"config": {"optimizer": {"name": "lamb"}, "steps": 3}, "x": None}
  assert multihost.flat(nested) == {
    "config.optimizer.name": "lamb",
    "config.steps": 3,
    "x": None,
  }
