# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import pytest

from bertjax.sweep.axes import expand
from launch.hosts.start_up import code_facts
from launch.preflight.policy import Policy
from launch.sweep import __main__ as sweep
from launch.sweep import comparability
from launch.sweep.comparability import CODE, code_version
from launch.sweep.plan import make_plan


def test_arms_of_one_question_differ_in_it_alone(config):
  found = make_plan(config, Policy()).differences
  assert {(each.field, each.why) for each in found.fields} == {
    ("objective.next_sentence", "axis"),
    ("objective.next_sentence_weight", "axis"),
  }
  assert found.rows == (("mlm_nsp", "nsp_rows"), ("mlm",))
  assert found.validation == found.rows
  assert found.equal["compute.dtype"] == "float32"
  assert found.equal["start weights"] == "random, by the seed"
  assert found.equal["code"] == code_version()[:12]


def test_a_probe_is_an_axis_like_any_other(config):
  grid = "finetune.pooling=cls,mean"
  plan = make_plan(
    dataclasses.replace(config, grid=grid, chosen=("mlm",)), Policy()
  )
  (found,) = plan.differences.fields
  assert (found.field, found.why) == ("finetune.pooling", "axis")
  assert plan.differences.rows == (expand(plan.config).chosen,)


@pytest.mark.parametrize(
  ("path", "changes"),
  [
    ("bertjax/train/step.py", True),
    ("launch/run/assembly.py", True),
    ("launch/sweep/frozen.py", True),
    ("launch/finetune.py", True),
    ("launch/tasks.py", True),
    ("launch/sweep/board.py", False),  # shows what others found
    ("configs/finetune.py", False),  # compared by value
  ],
)
def test_code_is_what_a_result_depends_on(monkeypatch, path, changes):
  facts = code_facts()
  assert f"source {path}" in facts
  other = {**facts, f"source {path}": "another"}
  versions = []
  for each in (facts, other):
    monkeypatch.setattr(comparability, "code_facts", lambda each=each: each)
    versions.append(code_version.__wrapped__())
  assert (versions[0] != versions[1]) == changes


def test_trials_of_other_code_are_not_mixed(config, launchers, tmp_path):
  work = str(tmp_path / "work")
  sweep.run(config, work)
  for path in (tmp_path / "work/trials").glob(f"*-seed0/{CODE}"):
    path.write_text(json.dumps({"code": "0123456789abcdef"}))
  # Nothing is left to run, and the trials are of the study that made them.
  sweep.run(config, work)
  assert "versions of the code" in (tmp_path / "work/results.md").read_text()
  more = dataclasses.replace(config, seeds=3)
  with pytest.raises(ValueError, match="began with code 0123456789ab") as error:
    sweep.run(more, work)
  assert "--allow=trials_of_other_code" in str(error.value)
  assert len(launchers.pretrained) == 6
  sweep.run(more, work, Policy(allow=frozenset(["trials_of_other_code"])))
  assert len(launchers.pretrained) == 9
  # The report names the trials of other code.
  report = json.loads((tmp_path / "work/report.json").read_text())
  (note,) = (text for text in report["notes"] if "versions of the code" in text)
  assert "0123456789ab: mlm_nsp-seed0" in note
