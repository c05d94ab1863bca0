# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a whole run comes to at least: hours, chip-hours, money."""

from collections.abc import Iterable
from typing import Any

from bertjax.plan.hardware.topologies import Topology


def of_run(
  phases: Iterable[tuple[int, int, float]],
  topology: Topology,
  price_per_chip_hour: float | None = None,
) -> dict[str, Any]:
  """Add up the phases of a run.

  Args:
    phases: (steps, positions of a global batch, least seconds of a step).
    topology: whose chips are paid for.
    price_per_chip_hour: in any currency; None gives no `price`.

  Returns:
    `steps`, `positions`, `hours`, `chip_hours` and `price`, all but the first
    two being the least: evaluation, checkpoints and restarts come on top.
  """
  phases = list(phases)
  hours = sum(steps * seconds for steps, _, seconds in phases) / 3600
  chip_hours = hours * topology.num_chips
  return {
    "steps": sum(steps for steps, _, _ in phases),
    "positions": sum(steps * positions for steps, positions, _ in phases),
    "hours": hours,
    "chip_hours": chip_hours,
    "price": None
    if price_per_chip_hour is None
    else chip_hours * price_per_chip_hour,
  }
