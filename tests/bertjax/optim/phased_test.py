# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A schedule of each phase, one after the other, or one of both."""

import dataclasses

import jax
import numpy as np

from bertjax.config import OptimizerConfig, PhaseConfig
from bertjax.optim import make_schedule
from bertjax.optim.phased import make_run_schedule

FIRST = OptimizerConfig(learning_rate=1e-3, warmup_steps=4)
STEPS, BORDER = 30, 20


def rates(schedule, steps):
  return np.asarray(jax.jit(jax.vmap(schedule))(np.asarray(steps, np.int32)))


def test_a_phase_with_a_rate_has_a_schedule_of_its_own_steps():
  second = PhaseConfig(steps=STEPS - BORDER, learning_rate=5e-4, warmup_steps=3)
  got = rates(make_run_schedule(FIRST, second, STEPS), range(STEPS))
  before = rates(make_schedule(FIRST, BORDER), range(BORDER))
  later = dataclasses.replace(FIRST, learning_rate=5e-4, warmup_steps=3)
  after = rates(make_schedule(later, STEPS - BORDER), range(STEPS - BORDER))
  np.testing.assert_array_equal(got, np.concatenate([before, after]))
  assert got[BORDER] == 0 < got[BORDER - 1]


def test_without_a_rate_the_first_schedule_goes_on():
  whole = rates(make_schedule(FIRST, STEPS), range(STEPS))
  for second in (PhaseConfig(), PhaseConfig(steps=STEPS - BORDER)):
    got = rates(make_run_schedule(FIRST, second, STEPS), range(STEPS))
    np.testing.assert_array_equal(got, whole)
