# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Give every arm as many tokens or FLOPs as the baseline has.

Rows of another format hold more or less text, and so do rows of another length
or another number of examples: equal steps are not equal training.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bertjax.config import PretrainConfig
from bertjax.trials.results import JsonResult

# The largest share by which matched arms may differ.
TOLERANCE = 0.005


@dataclasses.dataclass(frozen=True)
class Work(JsonResult):
  """What a run, or a step of it, reads and computes.

  Attributes:
    tokens: tokens without padding.
    own: tokens of texts in their own order.
    random: tokens of random second segments. The rest are special tokens.
    flops: model FLOPs of training.
  """

  tokens: float
  own: float
  random: float
  flops: float


def total(steps: Sequence[int], means: Sequence[Work]) -> Work:
  """Return the work of all phases, from their steps and the work of a step."""
  names = [field.name for field in dataclasses.fields(Work)]
  return Work(
    **{
      name: sum(
        n * vars(each)[name] for n, each in zip(steps, means, strict=True)
      )
      for name in names
    }
  )


def phase_steps(run: PretrainConfig) -> tuple[int, ...]:
  """Return the steps of each phase of a run."""
  second = run.phase2.steps
  return (run.steps - second, second) if second else (run.steps,)


def matched_steps(
  wanted: Sequence[float], each: Sequence[float], arm: str, what: str
) -> tuple[int, ...]:
  """Return the steps of an arm's phases that come nearest to the baseline.

  Args:
    wanted: tokens or FLOPs of the baseline's phases.
    each: tokens or FLOPs of a step of the arm, by phase.
    arm: name of the arm, for the error.
    what: "tokens" or "flops".

  Raises:
    ValueError: a phase is more than 0.5 % off, because it has few steps.
  """
  if len(wanted) != len(each):
    raise ValueError(
      f"arm {arm} has {len(each)} phases and the baseline {len(wanted)}: "
      f"match={what} matches them phase by phase; give both as many, or "
      "--match=steps"
    )
  found = []
  for goal, one in zip(wanted, each, strict=True):
    steps = max(1, round(goal / one))
    off = steps * one / goal - 1
    if abs(off) > TOLERANCE:
      # Rounded up: less would be off again.
      more = math.ceil(5 / TOLERANCE * one / goal) / 10
      raise ValueError(
        f"arm {arm} has {off:+.1%} {what} in {steps} steps, and a step more or "
        f"less is no nearer than {TOLERANCE:.1%} to the baseline; give "
        f"{more:.1f} times as many steps, or "
        "--match=steps"
      )
    found.append(steps)
  return tuple(found)


def with_steps(run: PretrainConfig, steps: Sequence[int]) -> Mapping[str, Any]:
  """Return the changed fields of a run that has other steps.

  The share of a schedule that is warm-up stays.

  Args:
    run: the arm's run as configured.
    steps: steps of each of its phases.
  """
  before = phase_steps(run)
  second, rate = run.phase2, run.phase2.learning_rate
  own_schedule = bool(second.steps and rate)
  first = (steps[0], before[0]) if own_schedule else (sum(steps), run.steps)
  fields = {
    "steps": sum(steps),
    "optimizer.warmup_steps": _scaled(run.optimizer.warmup_steps, *first),
  }
  if second.steps:
    fields["phase2.steps"] = steps[1]
  if own_schedule:
    fields["phase2.warmup_steps"] = _scaled(
      second.warmup_steps, steps[1], before[1]
    )
  return fields


def _scaled(warmup: int, steps: int, before: int) -> int:
  return round(warmup * steps / before)
