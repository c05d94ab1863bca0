# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The cost of a run, worked out by hand."""

from bertjax.plan import cost
from bertjax.plan.hardware.topologies import find
from bertjax.plan.results import RunCost


def test_a_run_costs_its_hours_on_all_chips():
  run = cost.of_run([(1800, 10, 1.0), (900, 30, 2.0)], find("v5e:2x2", 2), 1.5)
  assert run == RunCost(
    steps=2700, positions=45_000, hours=1.0, chip_hours=8.0, price=12.0
  )
  assert cost.of_run([(1, 1, 1.0)], find("v5e:2x2")).price is None
