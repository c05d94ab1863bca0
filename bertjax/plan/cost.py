# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Lower bounds of a whole run: hours, chip-hours and price."""

from collections.abc import Iterable

from bertjax.plan.hardware.topologies import Topology
from bertjax.plan.results import RunCost


def of_run(
  phases: Iterable[tuple[int, int, float]],
  topology: Topology,
  price_per_chip_hour: float | None = None,
) -> RunCost:
  """Add up the phases of a run; evaluation, checkpoints and restarts are extra.

  Args:
    phases: for each phase its steps, the positions of its global batch, and
      the least seconds of a step.
    topology: the chips that are paid for.
    price_per_chip_hour: in any currency; None leaves out the price.
  """
  phases = list(phases)
  hours = sum(steps * seconds for steps, _, seconds in phases) / 3600
  chip_hours = hours * topology.num_chips
  return RunCost(
    steps=sum(steps for steps, _, _ in phases),
    positions=sum(steps * positions for steps, positions, _ in phases),
    hours=hours,
    chip_hours=chip_hours,
    price=None
    if price_per_chip_hour is None
    else chip_hours * price_per_chip_hour,
  )
