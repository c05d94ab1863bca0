# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The answer of a study in a sentence."""

import pytest

from bertjax.sweep.answer import answer
from bertjax.sweep.comparison import compare, verdicts

BASE = {0: 0.50, 1: 0.52, 2: 0.51}


def answered(arms, margin=None, metric="score"):
  scores = {
    arm: {seed: {"score": value} for seed, value in values.items()}
    for arm, values in {"base": BASE, **arms}.items()
  }
  seeds = {*next(iter(arms.values()))} if arms else {*BASE}
  scores = {a: {s: v[s] for s in v if s in seeds} for a, v in scores.items()}
  margins = {} if margin is None else {"score": margin}
  return answer(verdicts(compare(scores, "base"), (), margins), metric)


def shifted(*differences):
  return {s: BASE[s] + d for s, d in enumerate(differences)}


def test_one_arm_answers_with_its_interval():
  text = answered({"other": shifted(0.1, 0.101, 0.102)})
  assert text.startswith("other has a higher score than base by 0.101")
  assert "95 % interval +0.0985 to +0.103" in text
  assert text.endswith(").")


def test_arms_that_differ_are_named_and_others_are_not_distinguishable():
  text = answered(
    {
      "far": shifted(0.2, 0.201, 0.202),
      "near": shifted(0.01, -0.02, 0.005),
      "nearer": shifted(0.001, -0.002, 0.0005),
    }
  )
  assert text.startswith("In score, 1 of 3 arms differs from base: far +0.201")
  assert "None of 2 other arms is distinguishable from base in score" in text
  assert "near and base are not distinguishable" in text
  assert "would be needed" in text
  assert "nearer" not in text


def test_arms_within_the_margin_are_equivalent():
  text = answered(
    {"a": shifted(0.001, -0.001, 0.0005), "b": shifted(0.01, -0.2, 0.3)},
    margin=0.05,
  )
  assert text.startswith("Equivalent to base in score within ±0.05: a. ")
  assert "b and base are not distinguishable" in text


@pytest.mark.parametrize("arms", [{"a": 0.1}, {"a": 0.1, "b": -0.2}])
def test_one_seed_is_said_to_be_that(arms):
  text = answered({arm: shifted(d) for arm, d in arms.items()})
  assert "one seed" in text
  assert "may be chance" in text
  assert "interval" not in text


def test_equal_differences_without_spread_are_told_as_that():
  text = answered(
    {"a": shifted(0.25, 0.25, 0.25), "b": shifted(0.01, -0.2, 0.3)}
  )
  assert "a has a higher score than base by 0.25 with each of 3 seeds" in text


def test_nothing_compared_is_said():
  assert answered({}, metric="other").startswith("No arm was compared")
