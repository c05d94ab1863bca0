# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Objective, optimizer and schedule make sense, or are refused in one line."""

import pytest

from bertjax.config import OptimizerConfig, checks, choices
from tests.testing.configs import check_run

WSD = {"optimizer.schedule": "warmup_stable_decay"}
SECOND = {"phase2.steps": 5, "phase2.learning_rate": 1e-3}


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"objective.mask_rate": 0.0}, "mask_rate=0.0"),
    ({"objective.mask_rate": 15.0}, "mask_rate=15.0.* such as 0.15"),
    ({"objective.mask_rate": 1.0}, "mask_rate=1.0; give more than 0 and less"),
    (
      {"objective.mask_unit": "ngram", "objective.max_ngram": 0},
      r"^objective\.max_ngram=0; give 1 to 10$",
    ),
    ({"objective.max_ngram": 2}, "only with objective.mask_unit=ngram; give"),
    ({"objective.mask_unit": "gram"}, "'gram'; give one of .*span, ngram"),
    ({"objective.random_token_rate": 0.3}, "add up to at most 1"),
    ({"objective.random_token_rate": -0.1}, "random_token_rate=-0.1; give 0"),
    ({"objective.next_sentence": "yes"}, "'yes'; give one of off, nsp, sop"),
    ({"objective.input_format": "full_sentences"}, "needs pairs"),
    ({"optimizer.warmup_steps": 9, "steps": 5}, "warmup_steps=9 of steps=5"),
    (
      {**SECOND, "phase2.warmup_steps": 9},
      r"^phase2\.warmup_steps=9 of phase2\.steps=5; give 0 to 5",
    ),
    ({"optimizer.learning_rate": 0.0}, "learning_rate=0.0"),
    ({"optimizer.name": "lam"}, "'lam'; give one of .*stable_adamw, lamb"),
    ({"optimizer.schedule": "cosin"}, "'cosin'; give one of linear, linear_j"),
    ({"optimizer.schedule_power": -1.0}, "schedule_power=-1.0; give more"),
    ({**WSD, "optimizer.decay_rate": 0.0}, r"decay_rate=0\.0; give more"),
    ({**WSD, "optimizer.decay_rate": 1.0}, r"decay_rate=1\.0.* at most 0\.99"),
    ({**WSD, "steps": 10_000}, r"warmup_steps=10000 of steps=10000.*shorter"),
    ({"optimizer.beta2": 1.0}, "beta2=1.0"),
  ],
)
def test_a_mistake_in_learning_is_one_line(changes, message):
  with pytest.raises(ValueError, match=message) as caught:
    check_run(changes)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("schedule", choices(OptimizerConfig, "schedule"))
@pytest.mark.parametrize("name", choices(OptimizerConfig, "name"))
def test_every_optimizer_goes_with_every_schedule(name, schedule):
  check_run({"optimizer.name": name, "optimizer.schedule": schedule})


def test_a_decay_may_begin_where_warmup_ends():
  """0.9 of 10 steps leave 0.1 but for rounding."""
  check_run({**WSD, "steps": 10, "optimizer.warmup_steps": 9}, num_devices=1)


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_that_a_backend_does_not_take_is_refused(seed):
  checks.check_seed(2**31 - 1)
  with pytest.raises(ValueError, match=f"seed={seed}; give 0 to 2147483647"):
    checks.check_seed(seed)
