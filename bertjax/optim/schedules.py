# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The learning rate as a function of the step."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.config import OptimizerConfig
from bertjax.config.checks import check_optimizer


class ScheduleNumbers(NamedTuple):
  """What a rate depends on beside the step and the kind of schedule: scalars.

  Lengths by which a schedule divides are reciprocals. Compilers turn a quotient
  by a constant into that product, so that a run is the same to the bit whether
  its numbers are constants of the step or inputs.

  Attributes:
    learning_rate: float32, the highest rate.
    steps: int32, steps up to the end of the decay.
    warmup_steps: int32.
    per_warmup_step: float32, growth at each step of the warm-up.
    per_step_left: float32, what a step that is left counts in the decay.
  """

  learning_rate: Any
  steps: Any
  warmup_steps: Any
  per_warmup_step: Any
  per_step_left: Any


@dataclasses.dataclass(frozen=True)
class Schedule:
  """A function step → learning rate, whose numbers a step may take as inputs.

  Attributes:
    numbers: a tree of scalars.
    rate: (step, numbers) → learning rate; schedules of one kind share it.
  """

  numbers: Any
  rate: Callable[[jax.typing.ArrayLike, Any], jax.Array]

  def __call__(self, step: jax.typing.ArrayLike) -> jax.Array:
    """Return the learning rate at `step`."""
    return self.rate(step, self.numbers)

  def with_numbers(self, numbers: Any) -> "Schedule":
    """Return the schedule of the same kind with other numbers."""
    return dataclasses.replace(self, numbers=numbers)


def make_schedule(config: OptimizerConfig, steps: int) -> Schedule:
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
  per_step_left, decay = _decays(config, steps)[config.schedule]

  def rate(count: jax.typing.ArrayLike, numbers: ScheduleNumbers) -> jax.Array:
    step = jnp.asarray(count)
    # Counted down, because 1 − step / steps loses digits near the end.
    left = jnp.maximum(numbers.steps - step, 0).astype(jnp.float32)
    warm = step.astype(jnp.float32) * numbers.per_warmup_step
    return numbers.learning_rate * jnp.where(
      step < numbers.warmup_steps, warm, decay(left * numbers.per_step_left)
    )

  numbers = ScheduleNumbers(
    learning_rate=np.float32(config.learning_rate),
    steps=np.int32(steps),
    warmup_steps=np.int32(config.warmup_steps),
    per_warmup_step=_reciprocal(max(config.warmup_steps, 1)),
    per_step_left=per_step_left,
  )
  return Schedule(numbers, rate)


def _reciprocal(length: float) -> np.float32:
  return np.float32(1) / np.float32(length)


def _decays(
  config: OptimizerConfig, steps: int
) -> Mapping[str, tuple[np.float32, Callable[[jax.Array], jax.Array]]]:
  """Return each decay: what a step left counts, and count → share of the peak.

  A step counts such that those left at the beginning of the decay count 1; for
  `cosine`, a quarter turn.
  """
  whole = _reciprocal(steps)
  after_warmup = _reciprocal(max(steps - config.warmup_steps, 1))
  quarter = np.float32(math.pi / 2)
  return {
    "linear": (whole, lambda left: left),
    "linear_joined": (after_warmup, lambda left: left),
    "polynomial": (whole, lambda left: left**config.schedule_power),
    # (1 + cos πp) / 2 at progress p, without the cancellation near p = 1.
    "cosine": (after_warmup * quarter, lambda left: jnp.sin(left) ** 2),
    "constant": (whole, jnp.ones_like),
    "warmup_stable_decay": (
      _reciprocal(config.decay_rate * steps),
      lambda left: jnp.minimum(left, 1.0),
    ),
  }
