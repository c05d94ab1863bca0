# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A run is one phase or two, and says how much of it is left."""

import dataclasses

import pytest

from bertjax.config import (
  DataConfig,
  OptimizerConfig,
  PhaseConfig,
  PretrainConfig,
)
from bertjax.config.names import PHASE2, PRETRAINING
from bertjax.config.phases import split_optimizer, split_phases, steps_left

CONFIG = PretrainConfig(
  steps=100,
  batch_size=8,
  data=DataConfig(seq_length=128),
  optimizer=OptimizerConfig(warmup_steps=10, accumulation=2),
)
TWO = dataclasses.replace(
  CONFIG, phase2=PhaseConfig(steps=10, seq_length=512, batch_size=4)
)


def test_a_run_without_a_second_phase_is_one():
  (phase,) = split_phases(CONFIG)
  assert (phase.start, phase.stop, phase.config) == (0, 100, CONFIG)
  assert phase.names == PRETRAINING


def test_a_second_phase_has_its_own_shape_and_else_the_first_ones():
  first, second = split_phases(TWO)
  assert (first.start, first.stop) == (0, 90)
  assert (second.start, second.stop) == (90, 100)
  assert (first.positions, second.positions) == (8 * 128, 4 * 512)
  assert second.config.optimizer.accumulation == 2
  assert (first.names, second.names) == (PRETRAINING, PHASE2)


def test_a_schedule_goes_on_unless_the_second_phase_has_a_rate():
  assert split_optimizer(TWO.optimizer, TWO.phase2, 100) == (
    (TWO.optimizer, 100),
  )
  own = dataclasses.replace(TWO.phase2, learning_rate=1e-3, warmup_steps=3)
  (first, steps), (second, steps2) = split_optimizer(TWO.optimizer, own, 100)
  assert (steps, steps2) == (90, 10)
  assert first == TWO.optimizer
  assert (second.learning_rate, second.warmup_steps) == (1e-3, 3)


@pytest.mark.parametrize(
  ("step", "left"),
  [
    # A step of the second phase has twice the positions of one of the first.
    (0, 90 + 2 * 10),
    (1, 89 + 2 * 10),
    (90, 0 + 2 * 10),
    (91, 9),
    (100, 0),
  ],
)
def test_what_is_left_is_in_steps_as_large_as_the_last_one(step, left):
  assert steps_left(split_phases(TWO), step) == left


def test_of_one_phase_are_left_the_steps_to_go():
  phases = split_phases(CONFIG)
  assert [steps_left(phases, step) for step in (0, 30, 100)] == [100, 70, 0]
