# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The learning rate as a function of the step."""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from bertjax.config import OptimizerConfig
from bertjax.config.checks import check_optimizer


def make_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
  """Warm up linearly from 0, then decay to 0 at `steps`, or stay constant.

  - `linear` (google-research/bert, optimization.py) and `polynomial` (NVIDIA
    DeepLearningExamples, PyTorch BERT, PolyWarmUpScheduler) decay from step 0
    on, so that the rate drops at the end of the warm-up: from 1e-4 to 9.9e-5
    for a warm-up of 10k in 1M steps of `linear`.
  - `linear_joined` (optax, Hugging Face, NVIDIA's LinearWarmUpScheduler) and
    `cosine` (Loshchilov and Hutter, 2016, arXiv 1608.03983, without restarts)
    decay from the end of the warm-up on, where the rate is `learning_rate`.
  - `warmup_stable_decay` decays linearly over the last `decay_rate` of all
    steps (Hägele et al., 2024, arXiv 2405.18392). Before, it does not depend
    on the number of steps.
  - `constant` stays at `learning_rate`.

  Args:
    config: `learning_rate`, `schedule` and `warmup_steps`; `schedule_power` for
      `polynomial`, which at 1 is `linear`; `decay_rate`.
    steps: number of steps. At this step and after it every schedule but
      `constant` is 0.

  Raises:
    ValueError: see `checks.check_optimizer`.
  """
  check_optimizer(config, steps)
  decay = _decays(config, steps)[config.schedule]

  def schedule(count: jax.typing.ArrayLike) -> jax.Array:
    step = jnp.asarray(count)
    # Counted down, because 1 − step / steps loses digits near the end.
    left = jnp.maximum(steps - step, 0).astype(jnp.float32)
    warm = step.astype(jnp.float32) / max(config.warmup_steps, 1)
    return jnp.float32(config.learning_rate) * jnp.where(
      step < config.warmup_steps, warm, decay(left)
    )

  return schedule


def _decays(
  config: OptimizerConfig, steps: int
) -> Mapping[str, Callable[[jax.Array], jax.Array]]:
  """Return each decay: steps left in the run → share of `learning_rate`."""
  after_warmup = max(steps - config.warmup_steps, 1)
  return {
    "linear": lambda left: left / steps,
    "linear_joined": lambda left: left / after_warmup,
    "polynomial": lambda left: (left / steps) ** config.schedule_power,
    # (1 + cos πp) / 2 at progress p, without the cancellation near p = 1.
    "cosine": lambda left: jnp.sin(math.pi / 2 * (left / after_warmup)) ** 2,
    "constant": jnp.ones_like,
    "warmup_stable_decay": lambda left: jnp.minimum(
      left / (config.decay_rate * steps), 1.0
    ),
  }
