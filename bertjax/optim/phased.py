# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The learning rate over a run of one or two phases."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.config import OptimizerConfig, PhaseConfig
from bertjax.config.phases import split_optimizer
from bertjax.optim.schedules import Schedule, make_schedule


def make_run_schedule(
  first: OptimizerConfig, second: PhaseConfig, steps: int
) -> Schedule:
  """Return step → learning rate over a whole run.

  Args:
    first: the optimizer of phase 1. Its schedule ends where `second` begins,
      or with the run if `second` has no steps or no learning rate of its own.
    second: the last phase. Its learning rate and warm-up make a schedule of
      the same kind, which starts at the first step of the phase.
    steps: number of steps of the whole run.

  Raises:
    ValueError: see `checks.check_optimizer`.
  """
  parts = split_optimizer(first, second, steps)
  schedules = [make_schedule(config, length) for config, length in parts]
  if len(schedules) == 1:
    return schedules[0]
  before, after = schedules

  def rate(count: jax.typing.ArrayLike, numbers: Any) -> jax.Array:
    first_numbers, second_numbers, border = numbers
    step = jnp.asarray(count)
    # Clipped, because `after` has no steps before the border.
    late = after.rate(jnp.maximum(step - border, 0), second_numbers)
    return jnp.where(step < border, before.rate(step, first_numbers), late)

  border = np.int32(parts[0][1])
  return Schedule((before.numbers, after.numbers, border), rate)
