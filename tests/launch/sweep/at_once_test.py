# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json
import time

import pytest

from launch.run import ownership
from launch.sweep import __main__ as sweep
from launch.sweep import at_once, shares
from launch.sweep.trials import ERROR
from tests.testing import launchers as stand_ins

DONE = 4


@pytest.fixture
def two_processes(monkeypatch):
  """Processes of which neither trains, nor is given a core of its own."""
  monkeypatch.setattr(at_once, "serve_trials", stand_ins.serve_steadily)
  monkeypatch.setattr(
    shares,
    "share_devices",
    lambda count: (
      [shares.Share("a part", (), {})] * (count if count > 1 else 0)
    ),
  )


@pytest.mark.usefixtures("two_processes")
def test_trials_at_once_make_the_report_of_one_after_another(
  config, tmp_path, monkeypatch, capfd
):
  """Also where one trial fails, and others end their processes."""
  alone, both = tmp_path / "alone", tmp_path / "both"
  stand_ins.SteadyLaunchers(monkeypatch)
  sweep.run(config, str(alone))
  both.mkdir()
  fails = {"mlm-seed1": stand_ins.RAISES, "mlm_nsp-seed1": stand_ins.DIES}
  late = {"mlm-seed0": stand_ins.DIES_LATE}
  (both / stand_ins.FAILS).write_text(json.dumps(fails | late))
  with pytest.raises(
    ValueError,
    match=r"2 of 6 trials failed.*mlm_nsp-seed1: its process ended with code 9;"
    r" see .*process-\d.log; mlm-seed1: out of memory; the same command",
  ):
    sweep.run(config, str(both), trials_at_once=2)
  assert len([*both.glob("trials/*/result.json")]) == DONE
  errors = [
    (both / "trials" / name / ERROR).read_text() for name in sorted(fails)
  ]
  assert "RuntimeError: out of memory" in errors[0]
  assert errors[1].startswith("its process ended with code 9")
  said = capfd.readouterr().out
  assert "process 1 has a part; it prints to" in said
  assert "nsp_rows-seed1: probe accuracy 0." in said

  (both / stand_ins.FAILS).unlink()
  before = {
    path: path.stat().st_mtime_ns for path in both.glob("trials/*/result.json")
  }
  sweep.run(config, str(both))
  assert all(path.stat().st_mtime_ns == before[path] for path in before)
  for name in ("report.json", "results.csv", "results.json", "results.md"):
    assert (both / name).read_bytes() == (alone / name).read_bytes(), name
  assert not [*both.glob(f"trials/*/{ERROR}")]

  monkeypatch.setattr(at_once, "_SPAWN", None)  # a finished study starts none
  sweep.run(config, str(both), trials_at_once=2)


@pytest.mark.usefixtures("two_processes")
def test_a_process_that_dies_before_its_first_trial_is_told(
  config, tmp_path, capfd
):
  """The other one runs all trials, and the command fails nevertheless."""
  (tmp_path / stand_ins.FAILS).write_text(
    json.dumps({"process-1": stand_ins.KILLED})
  )
  told = (
    r"process 1 died before its first trial: it was ended by SIGKILL, as the "
    r"system does where memory is short; see above.* to .*process-1\.log"
  )
  with pytest.raises(ValueError, match=told):
    sweep.run(config, str(tmp_path), trials_at_once=2)
  assert len([*tmp_path.glob("trials/*/result.json")]) == 6
  assert (tmp_path / "report.json").is_file()
  assert "warning: process 1 died before" in capfd.readouterr().out


@pytest.mark.full
@pytest.mark.usefixtures("two_processes")
def test_trials_that_no_process_runs_say_what_became_of_the_processes(
  config, tmp_path
):
  (tmp_path / stand_ins.FAILS).write_text(
    json.dumps({f"process-{number}": stand_ins.DIES for number in range(2)})
  )
  with pytest.raises(ValueError, match=r"no process ran it: process \d died"):
    sweep.run(config, str(tmp_path), trials_at_once=2)
  errors = [path.read_text() for path in tmp_path.glob(f"trials/*/{ERROR}")]
  assert len(errors) == 6
  for number in range(2):
    text = f"process {number} died before its first trial: it ended with code 9"
    assert all(text in error for error in errors)


def test_how_far_a_trial_is_stands_in_its_folder(tmp_path):
  assert at_once.describe_progress(tmp_path) == ""
  folder = tmp_path / "pretrain"
  folder.mkdir()
  lines = [json.dumps({"step": n, "loss": 3.25}) for n in range(999, 1201)]
  (folder / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 12')
  assert at_once.describe_progress(tmp_path) == "step 1,200  loss 3.2500"
  (folder / "timing.jsonl").write_text('{"tokens_per_second": 5120.4}\n')
  assert at_once.describe_progress(tmp_path) == (
    "step 1,200  loss 3.2500  5,120 tokens/s"
  )


@pytest.mark.usefixtures("two_processes")
def test_a_study_that_was_taken_over_ends_its_processes(
  config, tmp_path, monkeypatch
):
  stand_ins.SteadyLaunchers(monkeypatch)
  started = []
  make = at_once._Process

  def start(*given):
    started.append(make(*given))
    (tmp_path / "work" / ownership.OWNER).write_text(
      json.dumps({"id": "x", "host": "h", "pid": 1, "since": "now"})
    )
    return started[-1]

  monkeypatch.setattr(at_once, "_Process", start)
  began = time.monotonic()
  with pytest.raises(ownership.TakenOver, match=r"over \(pid 1 on h"):
    sweep.run(config, str(tmp_path / "work"), trials_at_once=2)
  assert time.monotonic() - began < 30
  assert len(started) == 2
  assert not any(each.process.is_alive() for each in started)
  assert not [*(tmp_path / "work").glob("trials/*/result.json")]
