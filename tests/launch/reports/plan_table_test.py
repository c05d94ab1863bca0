# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plans and searches on the terminal."""

import pytest

from launch.reports import plan_table
from tests.testing import tpu_plans


def test_a_search_shows_candidates_without_a_bound_and_without_a_fit(capsys):
  plan_table.show(tpu_plans.make_search())
  shown = capsys.readouterr().out
  for words in ("50.0 %", "unknown", "none fits", "note: a choice"):
    assert words in shown


@pytest.mark.parametrize(
  ("fits", "words"),
  [(False, "DOES NOT FIT: 32.00 of 16.00 GiB"), (True, "note: a note")],
)
def test_a_step_without_a_bound_shows_its_memory(capsys, fits, words):
  plan_table.show(tpu_plans.make_plan(tpu_plans.make_phase(fits)))
  shown = capsys.readouterr().out
  assert words in shown
  assert ("--search" in shown) is not fits


def test_a_plan_shows_its_bounds_and_its_cost(capsys):
  phase = tpu_plans.make_bounded_phase()
  plan_table.show(tpu_plans.make_plan(phase, run=tpu_plans.make_run()))
  shown = capsys.readouterr().out
  for words in ("120.00 ms", "MFU 80.0 %", "8 chip-hours", "smaller ones"):
    assert words in shown
