# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import functools
import json
import shlex

import pytest

from launch.preflight.policy import DEFAULT, Policy
from launch.sweep import __main__ as sweep
from launch.sweep import backends, elsewhere
from launch.sweep.comparability import CODE


@pytest.fixture
def work(tmp_path):
  return tmp_path / "work"


def write(config, work, policy=DEFAULT):
  """Write the study; return the names of the trials that its script runs."""
  make = functools.partial(backends.make_commands, str(work))
  elsewhere.write_study(config, str(work), policy, "", make)
  lines = (work / backends.COMMANDS).read_text().splitlines()
  commands = [shlex.split(line) for line in lines if line[0] != "#"]
  assert {each[3] for each in commands} <= {f"--workdir={work}"}
  return [each[4].removeprefix("--trial=") for each in commands]


def test_trials_that_run_apart_make_the_report_of_a_run(
  config, launchers, work, tmp_path
):
  config = dataclasses.replace(config, seeds=1)
  result = sweep.run(config, str(tmp_path / "here"))
  launchers.probed.clear()
  names = write(config, work)
  assert len(names) == 3
  for name in names:
    elsewhere.run_one(str(work), name)
  assert elsewhere.collect(str(work)) == result
  for name in ("report.json", "results.csv", "results.md"):
    written = (work / name).read_bytes()
    assert written == (tmp_path / "here" / name).read_bytes(), name
  assert write(config, work) == [], "all are done"


def test_a_trial_goes_on_and_is_not_run_twice(config, launchers, work):
  first, second, *_ = write(config, work)
  elsewhere.run_one(str(work), first)
  elsewhere.run_one(str(work), first)
  assert len(launchers.pretrained) == 1
  launchers.fail_at = 1
  with pytest.raises(KeyboardInterrupt):
    elsewhere.run_one(str(work), second)
  launchers.fail_at = -1
  elsewhere.run_one(str(work), second)
  folders = [folder for _, folder in launchers.pretrained]
  assert folders[1] == folders[2] == f"{work}/trials/{second}/pretrain"
  assert len(write(config, work)) == 4
  with pytest.raises(ValueError, match=r"--trial=mlm-seed7: .*give one of mlm"):
    elsewhere.run_one(str(work), "mlm-seed7")


def test_what_is_left_is_said_and_the_rest_compared(
  config, launchers, work, monkeypatch
):
  config = dataclasses.replace(config, chosen=("mlm_nsp", "mlm"))
  names = write(config, work)
  for name in names[:2]:
    elsewhere.run_one(str(work), name)

  def failing(*_, **__):
    raise RuntimeError("out of memory")

  monkeypatch.setattr("launch.pretrain.run", failing)
  with pytest.raises(ValueError, match=f"{names[2]}: out of memory; .*error.t"):
    elsewhere.run_one(str(work), names[2])
  with pytest.raises(ValueError, match=f"2 of 4 .*: {names[2]}, {names[3]};"):
    elsewhere.collect(str(work))
  report = json.loads((work / "report.json").read_text())
  assert report["seeds"] == [0]
  states = {each["trial"]: each["state"] for each in report["trials"]}
  assert [states[name] for name in names[1:]] == ["done", "failed", "not done"]
  assert len(launchers.probed) == 2


def test_trials_of_another_study_are_strangers(config, launchers, work):
  del launchers
  name = write(config, work)[2]
  elsewhere.run_one(str(work), name)
  path = work / "trials" / name / elsewhere.IDENTITY
  own = path.read_text()
  identity = json.loads(own)
  identity["pretrain"]["steps"] = 9
  path.write_text(json.dumps(identity))
  with pytest.raises(
    ValueError, match=rf"{name} was made with pretrain.steps=9, not 4"
  ):
    elsewhere.collect(str(work))
  path.write_text(own)
  code = path.with_name(CODE)
  code.write_text(json.dumps({"code": "0123456789abcdef"}))
  with pytest.raises(
    ValueError, match=rf"{name} was made with code='0123456789ab', not '\w"
  ) as error:
    elsewhere.collect(str(work))
  assert "\n" not in str(error.value)
  assert not (work / "report.json").exists()


def test_other_code_runs_no_trial(config, launchers, work, monkeypatch):
  first, *_ = write(config, work)
  monkeypatch.setattr(elsewhere, "code_version", lambda: "f" * 64)
  with pytest.raises(ValueError, match=r"study.json was made with code='\w+"):
    elsewhere.run_one(str(work), first)
  assert launchers.pretrained == []


def test_a_study_that_is_refused_is_not_written(config, work):
  policy = Policy(thresholds={"random_pairs.fail": 0.0})
  with pytest.raises(ValueError, match="in arm mlm_nsp"):
    write(config, work, policy)
  assert not work.exists()
  with pytest.raises(ValueError, match=r"study.json is not there; write"):
    elsewhere.collect(str(work))
