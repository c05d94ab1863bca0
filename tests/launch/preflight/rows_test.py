# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from launch.preflight.policy import DEFAULT
from launch.preflight.rows import judge_rows

ROWS = {
  "input_format": "segment_pair",
  "next_sentence": "nsp",
  "seq_length": 128,
  "efficiency": 0.99,
  "random_share": 0.51,
}


def not_passed(findings):
  return {each.name: each.level for each in findings if each.level != "pass"}


@pytest.mark.parametrize(
  ("rows", "found"),
  [
    ([ROWS], {}),
    # A store whose pairs are all random still serves a run without pairs.
    ([ROWS, ROWS | {"random_share": 1.0}], {"random_pairs": "warn"}),
    ([ROWS, ROWS | {"efficiency": 0.5}], {"filled_rows": "warn"}),
    ([ROWS | {"next_sentence": "off"}], {"single_document": "warn"}),
  ],
)
def test_rows_only_warn_before_an_objective_is_chosen(rows, found):
  assert not_passed(judge_rows(rows, DEFAULT)) == found
