# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learning rate as a function of the step."""

import jax
import jax.numpy as jnp
import optax

from bertjax.config import SCHEDULES, OptimizerConfig


def make_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
  """Warm up from 0, then fall linearly to 0 at `steps`, or stay.

  `linear` is BERT's (google-research/bert, optimization.py): the decay is
  measured from step 0 and not from the end of the warm-up, so that the rate
  steps down where the two meet (1e-4 → 9.9e-5 for 10k of 1M steps).

  Args:
    config: `learning_rate`, `schedule`, `warmup_steps`.
    steps: T, at which `linear` reaches 0; it stays there.

  Raises:
    ValueError: an unknown schedule, or a warm-up that is not over by the end.
  """
  if config.schedule not in SCHEDULES:
    raise ValueError(
      f"optimizer.schedule={config.schedule!r}; give one of {SCHEDULES}"
    )
  if not 0 <= config.warmup_steps <= steps:
    raise ValueError(
      f"optimizer.warmup_steps={config.warmup_steps}; give 0 to steps={steps}"
    )

  def schedule(count: jax.typing.ArrayLike) -> jax.Array:
    step = jnp.asarray(count, jnp.float32)
    rate = jnp.float32(config.learning_rate)
    warm = rate * (step / max(config.warmup_steps, 1))
    settled = rate
    if config.schedule == "linear":
      # Counted down, because 1 − step / T loses its digits near the end.
      settled = rate * (jnp.maximum(steps - step, 0.0) / steps)
    return jnp.where(step < config.warmup_steps, warm, settled)

  return schedule
