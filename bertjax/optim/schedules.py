# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learning rate as a function of the step."""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from bertjax.config import OptimizerConfig
from bertjax.config.checks import check_optimizer


def make_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
  """Warm up linearly from 0, then decay to 0 at `steps`, or stay.

  From step 0 is measured the decay of `linear` (google-research/bert,
  optimization.py) and of `polynomial` (NVIDIA DeepLearningExamples, PyTorch
  BERT, PolyWarmUpScheduler), so that the rate steps down where the warm-up
  ends: `linear`'s from 1e-4 to 9.9e-5 for 10k of 1M steps. From the end of
  the warm-up, where the rate is `learning_rate`, is measured that of
  `linear_joined` (optax, Hugging Face, NVIDIA's LinearWarmUpScheduler) and of
  `cosine` (Loshchilov and Hutter, 2016, arXiv 1608.03983, without restarts).
  `warmup_stable_decay` falls linearly over the last `decay_rate` of all steps
  (Hägele et al., 2024, arXiv 2405.18392); until then it is independent of how
  many there are.

  Args:
    config: `learning_rate`, `schedule`, `warmup_steps`; `schedule_power` of
      `polynomial`, where 1 is `linear`; `decay_rate`.
    steps: T, at which every schedule but `constant` is 0; it stays there.

  Raises:
    ValueError: what `checks.check_optimizer` refuses.
  """
  check_optimizer(config, steps)
  decay = _decays(config, steps)[config.schedule]

  def schedule(count: jax.typing.ArrayLike) -> jax.Array:
    step = jnp.asarray(count)
    # Counted down, because 1 − step / T loses its digits near the end.
    left = jnp.maximum(steps - step, 0).astype(jnp.float32)
    warm = step.astype(jnp.float32) / max(config.warmup_steps, 1)
    return jnp.float32(config.learning_rate) * jnp.where(
      step < config.warmup_steps, warm, decay(left)
    )

  return schedule


def _decays(
  config: OptimizerConfig, steps: int
) -> Mapping[str, Callable[[jax.Array], jax.Array]]:
  """Share of the full rate, by how many steps of the run are left."""
  after_warmup = max(steps - config.warmup_steps, 1)
  return {
    "linear": lambda left: left / steps,
    "linear_joined": lambda left: left / after_warmup,
    "polynomial": lambda left: (left / steps) ** config.schedule_power,
    # (1 + cos πp) / 2 of the progress p, without its cancellation at the end.
    "cosine": lambda left: jnp.sin(math.pi / 2 * (left / after_warmup)) ** 2,
    "constant": jnp.ones_like,
    "warmup_stable_decay": lambda left: jnp.minimum(
      left / (config.decay_rate * steps), 1.0
    ),
  }
