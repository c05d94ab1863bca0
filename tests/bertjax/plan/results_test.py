# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Results of plans survive their JSON."""

import json

import pytest

from bertjax.plan.results import Plan, Search
from tests.testing import tpu_plans

RESULTS = (
  tpu_plans.make_plan(
    tpu_plans.make_bounded_phase(),
    tpu_plans.make_phase(),
    tpu_plans.make_phase(fits=False),
    run=tpu_plans.make_run(),
  ),
  tpu_plans.make_plan(tpu_plans.make_phase()),
  tpu_plans.make_search(),
)


@pytest.mark.parametrize(
  "result", RESULTS, ids=lambda each: type(each).__name__
)
def test_a_result_is_read_as_it_was_written(result):
  stored = json.loads(json.dumps(result.to_json(), allow_nan=False))
  assert type(result).from_json(stored) == result


@pytest.mark.parametrize("kind", [Plan, Search])
def test_another_version_is_refused_with_the_fix(kind):
  with pytest.raises(ValueError, match=r"version 1, .* run launch.plan again"):
    kind.from_json({"run": None})
