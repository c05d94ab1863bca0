# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json
import logging

import pytest

from launch.preflight.findings import judge
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import RECORD, each_once, settle, write_record


def findings(policy=DEFAULT):
  return [
    judge("unknown_tokens", 1.0, "all is unknown", "learn", policy),
    judge("maskable_tokens", 0.0, "nothing to mask", "look", policy),
    judge("fertility", 3.0, "many tokens", "extend", policy),
  ]


def test_failures_end_the_command_in_one_line_that_names_them(caplog):
  caplog.set_level(logging.WARNING)
  with pytest.raises(ValueError, match="all is unknown") as error:
    settle(findings(), DEFAULT)
  text = str(error.value)
  assert "\n" not in text
  assert text.endswith("or give --allow=unknown_tokens,maskable_tokens")
  # Warnings are said first.
  assert [record.message for record in caplog.records] == [
    "many tokens (fertility 3, limit 2); fix: extend"
  ]


def test_a_check_that_fails_twice_is_allowed_by_one_name():
  twice = [*findings(), *findings()]
  with pytest.raises(ValueError, match="all is unknown") as error:
    settle(twice, DEFAULT)
  names = "or give --allow=unknown_tokens,maskable_tokens"
  assert str(error.value).endswith(names)
  assert str(error.value).count("all is unknown") == 1


def test_what_runs_several_commands_says_each_warning_once(caplog):
  warned = findings()[2:]
  more = [judge("fertility", 4.0, "many tokens", "extend", DEFAULT)]
  with caplog.at_level(logging.WARNING):
    settle(warned, DEFAULT)
    with each_once():
      settle(warned, DEFAULT)
      settle([*warned, *more], DEFAULT)
    settle(warned, DEFAULT)
  figures = [record.message.split()[3] for record in caplog.records]
  assert figures == ["3,", "3,", "4,", "3,"]


def test_what_is_allowed_goes_on_and_is_logged_and_stored(caplog, tmp_path):
  policy = Policy(allow=frozenset(["unknown_tokens", "maskable_tokens"]))
  with caplog.at_level(logging.WARNING):
    settle(findings(policy), policy)
  assert "--allow=unknown_tokens lets it pass" in caplog.text
  (path,) = write_record(tmp_path, findings(policy), policy)
  stored = json.loads((tmp_path / RECORD).read_text())
  assert path == tmp_path / RECORD
  assert [each["name"] for each in stored if each["allowed"]] == [
    "unknown_tokens",
    "maskable_tokens",
  ]


def test_nothing_is_stored_where_nothing_was_allowed(tmp_path):
  assert write_record(tmp_path, findings(), DEFAULT) == []
  assert not list(tmp_path.iterdir())
