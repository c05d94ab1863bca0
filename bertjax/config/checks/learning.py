# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of what is learnt and how."""

import math

from bertjax.config import (
  INPUT_FORMATS,
  MASK_UNITS,
  NEXT_SENTENCE,
  OPTIMIZERS,
  PAIR_FORMATS,
  RANDOM_TOKENS,
  SCHEDULES,
  ObjectiveConfig,
  OptimizerConfig,
  to_mapping,
)
from bertjax.config.checks.ranges import at_least, between, one_of


def check_seed(seed: int) -> None:
  """Check that a seed is one that every backend takes.

  Raises:
    ValueError: it is negative or needs more than 31 bits.
  """
  if not 0 <= seed < 2**31:
    raise ValueError(f"seed={seed}; give 0 to {2**31 - 1}")


def check_objective(objective: ObjectiveConfig) -> None:
  """Check what is predicted, and from which rows.

  Raises:
    ValueError: an unknown name, a combination that does not exist, or a rate
      outside its range.
  """
  form, task = objective.input_format, objective.next_sentence
  one_of(INPUT_FORMATS, "objective.input_format", form)
  one_of(NEXT_SENTENCE, "objective.next_sentence", task)
  if task != "off" and form not in PAIR_FORMATS:
    raise ValueError(
      f"objective.next_sentence={task} needs pairs, and input_format={form} "
      f"has none; give {' or '.join(PAIR_FORMATS)}, or next_sentence=off"
    )
  between(0, 1, "objective.mask_rate", objective.mask_rate)
  one_of(MASK_UNITS, "objective.mask_unit", objective.mask_unit)
  one_of(RANDOM_TOKENS, "objective.random_tokens", objective.random_tokens)
  split = objective.mask_token_rate + objective.random_token_rate
  rates = (objective.mask_token_rate, objective.random_token_rate)
  if min(rates) < 0 or split > 1 + 1e-9:
    raise ValueError(
      f"objective.mask_token_rate={rates[0]} and random_token_rate={rates[1]}; "
      "give shares that add up to at most 1"
    )
  if not 0 <= objective.short_rate <= 1:
    raise ValueError(
      f"objective.short_rate={objective.short_rate}; give 0 to 1"
    )
  at_least(0, "objective.next_sentence_weight", objective.next_sentence_weight)


def check_optimizer(optimizer: OptimizerConfig, steps: int) -> None:
  """Check an optimizer's names and numbers.

  Raises:
    ValueError: an unknown name, a number out of range, or a warm-up or a
      decay that does not fit into the run.
  """
  at_least(1, "steps", steps)
  one_of(OPTIMIZERS, "optimizer.name", optimizer.name)
  one_of(SCHEDULES, "optimizer.schedule", optimizer.schedule)
  if not 0 <= optimizer.warmup_steps <= steps:
    raise ValueError(
      f"optimizer.warmup_steps={optimizer.warmup_steps} of steps={steps}; give "
      f"0 to {steps}"
    )
  if optimizer.schedule == "warmup_stable_decay":
    longest = 1 - optimizer.warmup_steps / steps
    # 1 − 9/10 is a little less than 0.1.
    if not 0 < optimizer.decay_rate <= longest + 1e-9:
      raise ValueError(
        f"optimizer.decay_rate={optimizer.decay_rate} after warmup_steps="
        f"{optimizer.warmup_steps} of steps={steps}; give more than 0 and at "
        f"most {longest:g}, or a shorter warm-up"
      )
  for name in ("learning_rate", "clip_norm", "epsilon", "schedule_power"):
    value = to_mapping(optimizer)[name]
    if not 0 < value < math.inf:
      raise ValueError(f"optimizer.{name}={value}; give more than 0")
  for name in ("beta1", "beta2"):
    value = to_mapping(optimizer)[name]
    if not 0 <= value < 1:
      raise ValueError(f"optimizer.{name}={value}; give 0 or more, less than 1")
  at_least(0, "optimizer.weight_decay", optimizer.weight_decay)
  at_least(1, "optimizer.accumulation", optimizer.accumulation)
