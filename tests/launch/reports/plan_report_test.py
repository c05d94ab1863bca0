# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pages of plans that are made up."""

import json

import pytest

from bertjax.plan.results import Plan, Search
from launch.reports import plan_report
from tests.testing import tpu_plans


def write(result, folder):
  paths = plan_report.write(result, folder / "a.html", folder / "a.json")
  assert [path.name for path in paths] == ["a.json", "a.html"]
  stored = json.loads((folder / "a.json").read_text())
  assert type(result).from_json(stored) == result
  return (folder / "a.html").read_text()


def test_a_search_shows_candidates_without_a_bound_and_without_a_fit(tmp_path):
  result = tpu_plans.make_search()
  assert isinstance(result, Search)
  page = write(result, tmp_path)
  assert "none fits" in page
  assert "a choice" in page


@pytest.mark.parametrize("fits", [True, False])
def test_a_step_without_a_bound_has_only_its_memory(tmp_path, fits):
  result = tpu_plans.make_plan(tpu_plans.make_phase(fits))
  assert isinstance(result, Plan)
  page = write(result, tmp_path)
  assert ("does not fit" in page) is not fits
  assert page.count("<svg") == 1


def test_every_phase_has_its_memory_and_its_times(tmp_path):
  phase = tpu_plans.make_bounded_phase()
  page = write(
    tpu_plans.make_plan(phase, phase, run=tpu_plans.make_run()), tmp_path
  )
  assert page.count("<svg") == 4
  assert "Phase 2" in page
  assert "8 chip-hours" in page
