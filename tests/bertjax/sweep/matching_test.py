# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from bertjax.config import PretrainConfig, from_mapping
from bertjax.sweep.matching import (
  TOLERANCE,
  Work,
  matched_steps,
  phase_steps,
  total,
  with_steps,
)


def run(**fields):
  return from_mapping(PretrainConfig, fields)


def test_an_arm_of_emptier_rows_has_more_steps():
  (steps,) = matched_steps([1000 * 99.5], [91.8], "full_sentences", "tokens")
  assert steps == 1084
  assert abs(steps * 91.8 / (1000 * 99.5) - 1) <= TOLERANCE


def test_phases_are_matched_each_by_itself():
  assert matched_steps([1000, 4000], [5, 10], "a", "tokens") == (200, 400)
  with pytest.raises(ValueError, match="has 1 phases and the baseline 2"):
    matched_steps([1000, 4000], [5], "a", "tokens")


def test_too_few_steps_to_match_are_one_line():
  with pytest.raises(ValueError, match=r"arm a has .* flops in 3 steps") as got:
    matched_steps([10], [3], "a", "flops")
  assert "\n" not in str(got.value)
  assert "--match=steps" in str(got.value)


def test_a_schedule_is_over_the_steps_of_its_arm():
  base = run(steps=1000, optimizer={"warmup_steps": 100})
  assert with_steps(base, (1500,)) == {
    "steps": 1500,
    "optimizer.warmup_steps": 150,
  }


def test_a_second_phase_with_a_schedule_of_its_own_is_scaled_by_itself():
  base = run(
    steps=1000,
    optimizer={"warmup_steps": 90},
    phase2={"steps": 100, "learning_rate": 1e-4, "warmup_steps": 10},
  )
  assert phase_steps(base) == (900, 100)
  assert with_steps(base, (1800, 150)) == {
    "steps": 1950,
    "optimizer.warmup_steps": 180,
    "phase2.steps": 150,
    "phase2.warmup_steps": 15,
  }


def test_work_adds_up_over_phases():
  one, two = Work(10, 8, 1, 100), Work(20, 16, 2, 300)
  assert total((2, 3), (one, two)) == Work(80, 64, 8, 1100)
