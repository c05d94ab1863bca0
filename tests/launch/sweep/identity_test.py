# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

from bertjax.sweep.axes import expand
from launch.preflight.policy import Policy
from launch.sweep.checks import check

POLICY = Policy(allow=frozenset(["random_pairs"]))


def checked(config):
  return check(expand(config), POLICY)


def with_base(config, **objective):
  """The study of masks in the small: arms of other axes than the change."""
  arms = {
    "token": {},
    "random": {"objective": {"random_token_rate": 0.2}},
    "nsp": {"objective": {"next_sentence": "nsp"}},
  }
  base = dataclasses.replace(
    config.pretrain.objective, next_sentence="off", **objective
  )
  run = dataclasses.replace(config.pretrain, objective=base)
  return dataclasses.replace(config, arms=arms, baseline="token", pretrain=run)


def test_what_an_arm_takes_from_the_base_is_shared(config):
  """The settings of `token` do not have the rate that another arm changes."""
  one = checked(with_base(config)).identity
  other = checked(with_base(config, random_token_rate=0.05)).identity
  assert one["base"]["pretrain.objective.random_token_rate"] == 0.1
  assert other["base"]["pretrain.objective.random_token_rate"] == 0.05
  lighter = checked(with_base(config, next_sentence_weight=0.5)).identity
  assert lighter != one, "the arm `nsp` alone reads it"
  assert one["match"] == "steps"
