# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of objective and optimizer beyond the types of their fields."""

from bertjax.config import (
  PAIR_FORMATS,
  ObjectiveConfig,
  OptimizerConfig,
  check_types,
)
from bertjax.config.names import PRETRAINING, FieldNames


def check_seed(seed: int) -> None:
  """Check that a seed is one that every backend takes.

  Raises:
    ValueError: it is negative or needs more than 31 bits.
  """
  if not 0 <= seed < 2**31:
    raise ValueError(f"seed={seed}; give 0 to {2**31 - 1}")


def check_objective(objective: ObjectiveConfig) -> None:
  """Check the fields of an objective, and that they fit together.

  Raises:
    ValueError: a value that its field does not take, or a combination that
      does not exist.
  """
  check_types(objective, "objective.")
  form, task = objective.input_format, objective.next_sentence
  if task != "off" and form not in PAIR_FORMATS:
    raise ValueError(
      f"objective.next_sentence={task} needs pairs, and objective.input_format="
      f"{form} makes no pairs; give {' or '.join(PAIR_FORMATS)}, or "
      "objective.next_sentence=off"
    )
  rates = (objective.mask_token_rate, objective.random_token_rate)
  if sum(rates) > 1 + 1e-9:
    raise ValueError(
      f"objective.mask_token_rate={rates[0]} and random_token_rate={rates[1]}; "
      "give shares that add up to at most 1"
    )


def check_optimizer(
  optimizer: OptimizerConfig, steps: int, names: FieldNames = PRETRAINING
) -> None:
  """Check an optimizer and its schedule over `steps` steps.

  Raises:
    ValueError: a value that its field does not take, or a warm-up or a decay
      that does not fit into the steps.
  """
  check_types(optimizer, "optimizer.")
  if steps < 1:
    raise ValueError(f"{names.steps}={steps}; give 1 or more")
  if optimizer.warmup_steps > steps:
    raise ValueError(
      f"{names.warmup_steps}={optimizer.warmup_steps} of {names.steps}="
      f"{steps}; give 0 to {steps}"
    )
  if optimizer.schedule == "warmup_stable_decay":
    longest = 1 - optimizer.warmup_steps / steps
    # 1 − 9/10 is a little less than 0.1.
    if optimizer.decay_rate > longest + 1e-9:
      raise ValueError(
        f"optimizer.decay_rate={optimizer.decay_rate} after "
        f"{names.warmup_steps}={optimizer.warmup_steps} of {names.steps}="
        f"{steps}; give more than 0 and at most {longest:g}, or a shorter "
        "warm-up"
      )
