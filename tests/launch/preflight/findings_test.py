# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import logging
import math

import pytest

from launch.preflight.findings import (
  at_most_warn,
  found_wrong,
  judge,
  listed,
  to_json,
)
from launch.preflight.policy import Policy
from launch.preflight.settle import settle
from launch.preflight.thresholds import CHECKS

LEVELS = ("pass", "warn", "fail")


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_passes_at_its_limit_and_not_beyond(name):
  check = CHECKS[name]
  sign = 1 if check.worse == "above" else -1
  for level in ("warn", "fail"):
    limit = getattr(check, level)
    if limit is None:
      continue
    at = judge(name, limit, "text", "fix", Policy())
    assert LEVELS.index(at.level) < LEVELS.index(level)
    beyond = math.nextafter(limit, sign * math.inf)
    found = judge(name, beyond, "text", "fix", Policy())
    assert (found.level, found.threshold) == (level, limit)


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_says_what_it_is_and_has_limits_in_order(name):
  check = CHECKS[name]
  assert check.about
  assert check.warn is not None or check.fail is not None
  if check.warn is not None and check.fail is not None:
    assert (check.warn < check.fail) == (check.worse == "above")


def test_a_line_has_figure_limit_and_fix():
  found = judge("unknown_tokens", 0.5, "half is unknown", "learn", Policy())
  assert str(found) == (
    "half is unknown (unknown_tokens 50%, limit 20%); fix: learn"
  )


def test_strict_turns_a_warning_into_a_failure():
  policy = Policy(strict=frozenset(["fertility"]))
  assert judge("fertility", 9, "t", "f", policy).level == "fail"
  assert judge("fertility", 1, "t", "f", policy).level == "pass"
  assert judge("unknown_tokens", 0.1, "t", "f", policy).level == "warn"


def test_a_figure_whose_use_is_unknown_only_warns():
  failed = judge("random_pairs", 1.0, "t", "f", Policy())
  assert failed.level == "fail"
  assert at_most_warn(failed, Policy()).level == "warn"
  passed = judge("random_pairs", 0.5, "t", "f", Policy())
  assert at_most_warn(passed, Policy()) == passed


@pytest.mark.parametrize("strict", ["random_pairs", "every"])
@pytest.mark.parametrize("figure", [0.7, 1.0])
def test_strict_fails_also_where_the_use_is_unknown(strict, figure):
  policy = Policy(strict=frozenset([strict]))
  found = judge("random_pairs", figure, "t", "f", policy)
  assert at_most_warn(found, policy).level == "fail"


def test_what_did_not_pass_is_recorded_with_what_was_allowed():
  policy = Policy(allow=frozenset(["unknown_tokens"]))
  findings = [
    judge("unknown_tokens", 1.0, "t", "f", policy),
    judge("random_pairs", 1.0, "t", "f", policy),
    judge("fertility", 1.0, "t", "f", policy),
  ]
  record = to_json(findings, policy)
  assert [(each["name"], each["allowed"]) for each in record] == [
    ("unknown_tokens", True),
    ("random_pairs", False),
  ]


def test_what_did_not_pass_is_kept_as_the_console_says_it(caplog):
  policy = Policy(allow=frozenset(["unknown_tokens"]))
  findings = [
    judge("unknown_tokens", 1.0, "all is unknown", "learn", policy),
    judge("fertility", 9.0, "words are long", "extend", policy),
    judge("fertility", 1.0, "words are short", "rejoice", policy),
  ]
  with caplog.at_level(logging.WARNING):
    settle(findings, policy)
  said = [record.message for record in caplog.records]
  assert [each.line for each in found_wrong(findings * 2, policy)] == said
  assert len(said) == 2


def test_many_names_are_counted():
  assert listed(("a", "b")) == "a, b"
  assert listed(tuple("abcdefg")) == "a, b, c, d, e and 2 more"
