# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

from bertjax.sweep.axes import expand
from launch.sweep.report import REPORT
from launch.sweep.tokens_read import describe_tokens
from tests.testing import studies


def test_tokens_beyond_what_matching_allows_are_said(config):
  config = expand(config)
  seen = {"mlm_nsp": {"0": 1000}, "mlm": {"0": 1004}}
  read, unlike = describe_tokens(config, seen)
  assert "within 0.40%" in read
  assert not unlike
  matched = dataclasses.replace(config, match="tokens", chosen=("mlm_nsp",))
  seen["mlm"]["0"] = 1006
  read, unlike = describe_tokens(matched, seen)
  assert "within 0.60%" in read
  assert "0.5%" in unlike


def test_a_page_warns_of_tokens_that_do_not_match(tmp_path):
  config = studies.make_config(arms=("mlm_nsp", "mlm"), seeds=1)
  for more, count in ((10, 0), (1_000, 1)):
    folder = tmp_path / str(more)
    folder.mkdir()
    studies.write_study(folder, config, curves=False, more_tokens=more)
    report = json.loads((folder / REPORT).read_text())
    warned = [n for n in report["notes"] if "Do not compare that arm" in n]
    assert len(warned) == count
    told = warned[0] if warned else report["tokens_read"]
    assert told.startswith("Tokens that the runs have read: within")
