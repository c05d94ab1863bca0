# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from absl import flags

from launch.preflight import policy as policies
from launch.preflight.policy import Policy, parse_thresholds
from launch.preflight.thresholds import CHECKS


def parsed(*arguments):
  values = flags.FlagValues()
  policies.define_flags(values)
  values(["program", *arguments])
  return policies.from_flags(values)


def test_strict_stands_alone_or_names_checks():
  assert not parsed().is_strict("fertility")
  assert parsed("--strict").is_strict("fertility")
  named = parsed("--strict=fertility,filled_rows")
  assert named.is_strict("fertility")
  assert not named.is_strict("unknown_tokens")
  # What is allowed by name stays allowed.
  assert not parsed("--strict", "--allow=fertility").is_strict("fertility")


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--allow=unknown_token"], "--allow=unknown_token.*give unknown_tokens"),
    (["--strict=nothing_like_it"], "--strict=nothing_like_it.*no check"),
    (["--thresholds=unknown=1"], "--thresholds=unknown"),
    (["--thresholds=unknown_tokens=1"], r"warn=VALUE or .*fail=VALUE"),
    (["--thresholds=unknown_tokens.warn"], "gives no number.*0.01"),
    (["--thresholds=unknown_tokens.warn=many"], "gives no number"),
    (["--thresholds=unknown_tokens.warn=nan"], "gives no number"),
    (["--thresholds=unknown_tokens.worse=1"], "no limit"),
    (["--allow=fertility", "--strict=fertility"], "contradict"),
  ],
)
def test_a_name_that_no_check_has_is_refused(arguments, message):
  with pytest.raises(ValueError, match=message) as error:
    parsed(*arguments)
  assert "\n" not in str(error.value)


def test_limits_are_those_of_the_user_or_else_of_the_table():
  check = CHECKS["unknown_tokens"]
  changed = Policy(thresholds=parse_thresholds(["unknown_tokens.fail=0.5"]))
  assert changed.limits("unknown_tokens") == {"warn": check.warn, "fail": 0.5}
  # A check with one limit needs no level.
  assert parse_thresholds([" fertility=3 "]) == {"fertility.warn": 3.0}
