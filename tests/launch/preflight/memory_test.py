# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from launch.preflight.memory import judge_memory
from launch.preflight.policy import DEFAULT
from launch.run.assembly import assemble


@pytest.fixture(scope="module")
def spec(two_phases):
  return assemble(two_phases)


def test_train_and_evaluation_of_each_phase_are_judged(spec):
  roomy = list(judge_memory(spec, DEFAULT, limit=2**40))
  assert [each.level for each in roomy] == ["pass"] * 4
  assert [each.text.split(" step")[0] for each in roomy] == [
    *("the train", "the evaluation") * 2
  ]
  needed = [round(each.figure * 2**40) for each in roomy]
  # A train step holds the optimizer and gradients as well.
  assert needed[0] > needed[1]
  tight = list(judge_memory(spec, DEFAULT, limit=max(needed) - 1))
  assert "fail" in [each.level for each in tight]


def test_nothing_is_compiled_where_a_device_does_not_know_its_memory(
  spec, monkeypatch
):
  monkeypatch.setattr(
    "launch.preflight.memory._needed", lambda *_: pytest.fail("compiled")
  )
  assert list(judge_memory(spec, DEFAULT)) == []
