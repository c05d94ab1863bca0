# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The learning rate of a run of one or two phases."""

import jax
import jax.numpy as jnp
import optax

from bertjax.config import OptimizerConfig, PhaseConfig
from bertjax.config.phases import split_optimizer
from bertjax.optim.schedules import make_schedule


def make_run_schedule(
  first: OptimizerConfig, second: PhaseConfig, steps: int
) -> optax.Schedule:
  """Return step → learning rate over a whole run.

  Args:
    first: its schedule, over the steps before `second`, or over all where
      `second` has no steps or no learning rate of its own.
    second: the last of the steps; of its rate and warm-up the same kind of
      schedule is made, which begins again at its first step.
    steps: of the run.

  Raises:
    ValueError: what `checks.check_optimizer` refuses.
  """
  parts = split_optimizer(first, second, steps)
  schedules = [make_schedule(config, length) for config, length in parts]
  if len(schedules) == 1:
    return schedules[0]
  before, after = schedules
  border = parts[0][1]

  def schedule(count: jax.typing.ArrayLike) -> jax.Array:
    step = jnp.asarray(count)
    # The one that is not chosen is asked for steps that it has.
    late = after(jnp.maximum(step - border, 0))
    return jnp.where(step < border, before(step), late)

  return schedule
