# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Schedules against float64."""

import dataclasses

import jax
import numpy as np
import pytest

from bertjax.config import OptimizerConfig
from bertjax.optim import make_schedule

CONFIG = OptimizerConfig(learning_rate=1e-4, warmup_steps=10_000)


def at(schedule, *steps):
  return [np.asarray(schedule(step)).item() for step in steps]


def by_hand(step, rate, warmup, steps):
  """google-research/bert, optimization.py, lines 31 to 55."""
  if step < warmup:
    return rate * step / warmup
  return rate * (1 - min(step, steps) / steps)


def test_linear_is_measured_from_step_zero():
  schedule = jax.jit(make_schedule(CONFIG, 1_000_000))
  steps = [0, 1, 5_000, 9_999, 10_000, 10_001, 500_000, 999_999, 1_000_000]
  got = at(schedule, *steps)
  expected = [by_hand(step, 1e-4, 10_000, 1_000_000) for step in steps]
  np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-12)
  # facts.md: the rate steps down where warm-up ends, 1e-4 → 9.9e-5.
  assert at(schedule, 9_999, 10_000) == pytest.approx([9.999e-5, 9.9e-5])


def test_linear_stays_at_zero_past_its_end():
  assert at(make_schedule(CONFIG, 20_000), 30_000) == [0]


def test_constant_warms_up_and_stays():
  config = dataclasses.replace(CONFIG, schedule="constant", warmup_steps=4)
  schedule = make_schedule(config, 10)
  got = at(schedule, *range(12))
  np.testing.assert_allclose(
    got, np.minimum(np.arange(12) / 4, 1) * 1e-4, rtol=1e-6
  )


@pytest.mark.parametrize("name", ["linear", "constant"])
def test_no_warmup_starts_at_the_full_rate(name):
  config = dataclasses.replace(CONFIG, schedule=name, warmup_steps=0)
  assert at(make_schedule(config, 10), 0) == pytest.approx([1e-4])


@pytest.mark.parametrize("warmup", [-1, 11])
def test_a_warmup_that_does_not_fit_is_refused(warmup):
  config = dataclasses.replace(CONFIG, warmup_steps=warmup)
  with pytest.raises(ValueError, match=f"warmup_steps={warmup}; give 0 to"):
    make_schedule(config, 10)


def test_an_unknown_schedule_is_refused():
  config = dataclasses.replace(CONFIG, schedule="cosine")
  with pytest.raises(ValueError, match="schedule='cosine'; give one of"):
    make_schedule(config, 10)
