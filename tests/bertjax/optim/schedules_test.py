# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Schedules against float64, and the laws that they share."""

import dataclasses
import math
from typing import Any

import jax
import numpy as np
import pytest

from bertjax.config import OptimizerConfig, choices
from bertjax.optim import make_schedule

CONFIG = OptimizerConfig(learning_rate=1e-4, warmup_steps=10_000)
SCHEDULES = choices(OptimizerConfig, "schedule")
DECAYING = tuple(name for name in SCHEDULES if name != "constant")
# Their rate is `learning_rate` where the warm-up ends.
JOINED = ("linear_joined", "cosine", "constant", "warmup_stable_decay")
# (warm-up, steps); the last is BERT's.
RUNS = [(0, 1), (0, 10), (1, 10), (3, 10), (9, 10), (10_000, 1_000_000)]


def make(name, warmup, steps, **fields):
  config = dataclasses.replace(
    CONFIG, schedule=name, warmup_steps=warmup, **fields
  )
  return make_schedule(config, steps)


def rates(schedule, steps):
  """Learning rates as the train step reads them: jitted, of an int32."""
  steps = np.asarray(steps, np.int32)
  got = jax.jit(jax.vmap(schedule))(steps)
  assert got.dtype == np.float32
  assert got.shape == steps.shape
  return np.asarray(got)


def moments(warmup, steps):
  """All steps of a short run; of a long one those where something happens."""
  if steps <= 100:
    return list(range(2 * steps + 2))
  marks = (0, warmup, steps // 2, steps - steps // 10, steps)
  near = {mark + by for mark in marks for by in (-2, -1, 0, 1, 2)}
  return sorted(step for step in near | {2 * steps} if step >= 0)


def linear(step, warmup, steps):
  """google-research/bert, optimization.py, lines 31 to 55."""
  del warmup
  return 1 - min(step, steps) / steps


def linear_joined(step, warmup, steps):
  """NVIDIA DeepLearningExamples, PyTorch BERT, LinearWarmUpScheduler."""
  progress = step / steps
  return max((progress - 1) / (warmup / steps - 1), 0)


def polynomial(step, warmup, steps):
  """NVIDIA DeepLearningExamples, PyTorch BERT, PolyWarmUpScheduler."""
  del warmup
  return (1 - min(step, steps) / steps) ** 0.5


def cosine(step, warmup, steps):
  """SGDR's (1 + cos πp) / 2 = cos²(πp / 2), which keeps digits at the end."""
  progress = min((step - warmup) / (steps - warmup), 1)
  return math.cos(math.pi * progress / 2) ** 2 if progress < 1 else 0


def constant(step, warmup, steps):
  del step, warmup, steps
  return 1


def warmup_stable_decay(step, warmup, steps):
  """Hägele et al. (2024), equation 1, with a tenth of the run to decay."""
  del warmup
  length = steps / 10
  if step <= steps - length:
    return 1
  return 1 - (step - (steps - length)) / length if step < steps else 0


BY_HAND = {
  "linear": linear,
  "linear_joined": linear_joined,
  "polynomial": polynomial,
  "cosine": cosine,
  "constant": constant,
  "warmup_stable_decay": warmup_stable_decay,
}


@pytest.mark.parametrize(("warmup", "steps"), RUNS)
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_equals_a_float64_derivation(name, warmup, steps):
  at = moments(warmup, steps)
  expected = [
    1e-4
    * (step / warmup if step < warmup else BY_HAND[name](step, warmup, steps))
    for step in at
  ]
  got = rates(make(name, warmup, steps), at)
  np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_numbers_may_be_inputs_to_the_bit(name):
  """Runs that were begun with constants go on with inputs."""
  own = make(name, 333, 19_997)
  other = make(name, 77, 1_999, learning_rate=3e-3)
  steps = np.arange(0, 20_000, 3, dtype=np.int32)
  given: Any = jax.jit(jax.vmap(own.rate, in_axes=(0, None)))
  for each in (own, other):
    got = np.asarray(given(steps, each.numbers))
    np.testing.assert_array_equal(got, rates(each, steps))
  assert given._cache_size() == 1


def test_linear_is_measured_from_step_zero():
  # The rate drops at the end of the warm-up, from 1e-4 to 9.9e-5.
  got = rates(make("linear", 10_000, 1_000_000), [9_999, 10_000])
  assert got == pytest.approx([9.999e-5, 9.9e-5])
  joined = rates(make("linear_joined", 10_000, 1_000_000), [9_999, 10_000])
  assert joined == pytest.approx([9.999e-5, 1e-4])


def test_linear_is_a_polynomial_of_power_one():
  at = moments(3, 10)
  np.testing.assert_allclose(
    rates(make("polynomial", 3, 10, schedule_power=1.0), at),
    rates(make("linear", 3, 10), at),
    rtol=1e-6,
  )


def test_the_stable_part_does_not_depend_on_the_length():
  # The last fifth of a hundred steps begins at the 80th.
  at = range(81)
  short, long = (
    rates(make("warmup_stable_decay", 10, steps, decay_rate=0.2), at)
    for steps in (100, 1_000)
  )
  np.testing.assert_array_equal(short, long)
  np.testing.assert_array_equal(short[10:], np.float32(1e-4))
  late = make("warmup_stable_decay", 10, 100, decay_rate=0.2)
  np.testing.assert_allclose(rates(late, [85, 90]), [7.5e-5, 5e-5], rtol=1e-6)


@pytest.mark.parametrize("warmup", [0, 3_000])
@pytest.mark.parametrize("name", JOINED)
def test_the_peak_is_the_learning_rate_where_warmup_ends(name, warmup):
  got = rates(make(name, warmup, 20_000), [warmup])
  np.testing.assert_array_equal(got, np.float32(1e-4))


@pytest.mark.parametrize("warmup", [0, 300])
@pytest.mark.parametrize("name", SCHEDULES)
def test_after_warmup_no_rate_rises(name, warmup):
  """As NVIDIA's CosineWarmUpScheduler does, whose cosine is of π + progress."""
  got = rates(make(name, warmup, 2_000), range(warmup, 2_100))
  assert np.all(np.diff(got) <= 0)
  assert np.all(got >= 0)
  if name != "constant":
    assert got[-101] < got[0]


@pytest.mark.parametrize("name", DECAYING)
def test_a_decay_ends_at_zero_and_stays_there(name):
  got = rates(make(name, 300, 2_000), [1_999, 2_000, 2_001, 9_000])
  assert got[0] > 0
  np.testing.assert_array_equal(got[1:], 0)


@pytest.mark.parametrize("name", [n for n in DECAYING if "stable" not in n])
def test_a_warmup_may_take_the_whole_run(name):
  got = rates(make(name, 10, 10), range(12))
  expected = [*(1e-5 * np.arange(10)), 0, 0]
  np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"warmup_steps": -1}, "warmup_steps=-1; give 0 or more"),
    ({"warmup_steps": 11}, "warmup_steps=11 of steps=10; give 0 to 10"),
    ({"schedule": "cosin"}, "schedule='cosin'; give one of linear"),
    ({"schedule_power": 0.0}, "schedule_power=0.0; give more than 0"),
  ],
)
def test_fields_that_make_no_schedule_are_refused(fields, message):
  config = dataclasses.replace(CONFIG, **{"warmup_steps": 3, **fields})
  with pytest.raises(ValueError, match=message):
    make_schedule(config, 10)


def test_a_run_of_no_steps_has_no_schedule():
  with pytest.raises(ValueError, match="steps=0; give 1 or more"):
    make("linear", 0, 0)
