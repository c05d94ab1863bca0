# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run warned of, in its workdir."""

import json

import pytest

from launch.run.findings import (
  FINDINGS,
  RunFindings,
  read_findings,
  write_findings,
)
from tests.testing.arm_results import make_found


def test_what_is_written_is_read_and_earlier_workdirs_have_none(tmp_path):
  assert read_findings(tmp_path) is None
  found = RunFindings(6, (make_found(), make_found("epochs", "fail")))
  write_findings(tmp_path, found)
  assert read_findings(tmp_path) == found


@pytest.mark.parametrize("text", ["{", "{}", "[]", json.dumps({"version": 2})])
def test_a_file_that_cannot_be_read_is_named_with_what_to_do(tmp_path, text):
  (tmp_path / FINDINGS).write_text(text)
  with pytest.raises(ValueError, match=r"findings\.json cannot be read .*anew"):
    read_findings(tmp_path)
