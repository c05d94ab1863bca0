# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import csv
import dataclasses
import json
import pathlib

import pytest

from bertjax import files
from launch.preflight.policy import Policy
from launch.sweep import __main__ as sweep
from launch.sweep.costs import measured_rate
from launch.sweep.plan import make_plan
from launch.sweep.report import (
  CSV,
  REPORT,
  TIMING,
)
from tests.testing.arm_results import make_found
from tests.testing.launchers import make_arm_result


def test_a_report_has_no_clock_and_a_rerun_changes_no_byte(
  config, launchers, tmp_path
):
  work = tmp_path / "work"
  launchers.fail_at = 3
  with pytest.raises(KeyboardInterrupt):
    sweep.run(config, str(work))
  launchers.fail_at = -1
  sweep.run(config, str(work))
  before = (work / REPORT).read_bytes()
  report = json.loads(before)
  assert report["baseline"] == "mlm_nsp"
  assert report["seeds"] == [0, 1]
  assert set(report["planned_costs"]) == set(config.arms)
  assert report["planned_costs"]["mlm"]["work"]["flops"] > 0
  assert report["differences"]["fields"][0]["why"] == "axis"
  assert b"seconds" not in before
  timing = json.loads((work / TIMING).read_text())
  assert len(timing["trials"]) == 6
  done = len(launchers.pretrained)
  sweep.run(config, str(work))
  assert (work / REPORT).read_bytes() == before
  assert json.loads((work / TIMING).read_text()) == timing
  assert len(launchers.pretrained) == done


def test_a_report_has_what_its_reader_asks(config, launchers, tmp_path):
  """The answer, all comparisons, curves, every trial and what was published."""
  given = dataclasses.replace(config, margins="mlm_loss=5;none=1")
  sweep.run(given, str(tmp_path), command="bertjax sweep --config=nsp")
  report = json.loads((tmp_path / REPORT).read_text())
  assert report["question"].startswith("Does next-sentence prediction help")
  assert report["answer"]["metric"] == "probe_accuracy"
  assert "a higher probe accuracy than" in report["answer"]["sentence"]
  assert report["command"] == "bertjax sweep --config=nsp"
  made = {(each["name"], each["metric"]) for each in report["comparisons"]}
  assert ("mlm", "probe_accuracy") in made
  # mlm has rows of its own.
  assert ("mlm", "mlm_loss") not in made
  assert ("nsp_rows", "mlm_loss") in made
  margins = {each["metric"]: each["margin"] for each in report["comparisons"]}
  assert margins["mlm_loss"] == 5
  assert margins["probe_accuracy"] is None
  # And nothing of margins that came late.
  (note,) = (n for n in report["notes"] if "margin" in n)
  assert "margin of none has no effect" in note
  assert report["published"][0]["rows"][0]["arms"] == ["mlm_nsp"]
  assert report["identity"]["pretrain"]["tokenizer"]
  assert report["curves"] == {}  # the stand-ins write none
  saved = json.loads((tmp_path / "identity.json").read_text())
  assert report["identity"] == saved


def test_the_table_of_results_has_a_line_for_each_trial_and_measure(
  config, launchers, tmp_path, monkeypatch
):
  whole = launchers.pretrain

  def pretrain(run, workdir, policy):
    if run.seed == 1 and run.objective.next_sentence == "off":
      raise ValueError("the disk is full")
    return whole(run, workdir, policy)

  monkeypatch.setattr("launch.pretrain.run", pretrain)
  with pytest.raises(ValueError, match="the disk is full"):
    sweep.run(config, str(tmp_path))
  report = json.loads((tmp_path / REPORT).read_text())
  states = {each["trial"]: each["state"] for each in report["trials"]}
  assert states.pop("mlm-seed1") == "failed"
  assert {*states.values()} == {"done"}
  assert report["seeds"] == [0]
  assert any("on the 1 of 2 seeds" in note for note in report["notes"])
  assert any("mlm-seed1. The same command" in n for n in report["notes"])
  with (tmp_path / CSV).open(newline="") as file:
    lines = list(csv.DictReader(file))
  failed = [line for line in lines if line["trial"] == "mlm-seed1"]
  assert [(each["state"], each["measure"]) for each in failed] == [
    ("failed", "")
  ]
  assert {
    (each["trial"], name): value
    for each in report["trials"]
    for name, value in each["values"].items()
  } == {
    (line["trial"], line["measure"]): float(line["value"])
    for line in lines
    if line["measure"]
  }
  assert {line["share_of_steps"] for line in lines} == {"1"}
  compared = {line["trial"] for line in lines if line["compared"] == "yes"}
  assert compared == {"mlm_nsp-seed0", "mlm-seed0", "nsp_rows-seed0"}


def test_speed_is_that_of_the_trials_that_ran(config, tmp_path):
  plan = make_plan(config, Policy())
  assert measured_rate(tmp_path, plan.trials, plan.costs) == 0
  (trial, *_), work = plan.trials, plan.costs["mlm_nsp"].work
  folder = tmp_path / "trials" / trial.name / "pretrain"
  folder.mkdir(parents=True)
  (folder / "timing.jsonl").write_text('{"tokens_per_second": 10.0}\n')
  rate = measured_rate(tmp_path, plan.trials, plan.costs)
  assert rate == pytest.approx(10 * work.flops / work.tokens)


def test_a_study_of_fine_tuning_reports_test_for_the_chosen_arm(
  config, bundle, tmp_path, monkeypatch
):
  def finetune(tuned, bundle, workdir, policy):
    assert (tuned.seeds, bundle) == (1, str(given.bundle))
    rate = tuned.learning_rates[0]
    seen.append((rate, tuned.epochs, tuned.seed))
    made = make_arm_result(0.1 * tuned.epochs, dev=rate)
    made = dataclasses.replace(made, findings=(make_found(),))
    files.write_json(pathlib.Path(workdir) / "results.json", made.to_json())
    return made

  seen = []
  monkeypatch.setattr("launch.finetune.run", finetune)
  given = dataclasses.replace(
    config,
    trains="finetune",
    bundle=str(bundle),
    arms={},
    baseline="",
    grid="learning_rates=1e-3,2e-3;epochs=1,2",
    finetune=dataclasses.replace(config.finetune, steps=0),
  )
  result = sweep.run(given, str(tmp_path / "work"))
  assert len(seen) == len(set(seen)) == 8
  assert {*next(iter(result.arms.values()))} == {"dev_accuracy"}
  report = json.loads((tmp_path / "work" / REPORT).read_text())
  assert report["choice"]["arm"] == "learning_rates=0.002,epochs=1"
  assert report["choice"]["test"]["mean"] == pytest.approx(0.1)
  # Test is for the chosen arm alone.
  assert "test_" not in (tmp_path / "work" / CSV).read_text()
  assert report["published"] == []
  # What trials warned of is kept with their results.
  (found,) = result.findings
  assert found.summary == f"Fine-tuning in all trials: {make_found().line}."
  for path in (tmp_path / "work/trials").glob("*/results.json"):
    path.unlink()
  assert sweep.run(given, str(tmp_path / "work")).findings == (found,)
  assert len(seen) == 8
  text = (tmp_path / "work/results.md").read_text()
  assert f"Warning: {found.summary}" in text
  assert "Dev chooses learning_rates=0.002,epochs=1 of 4 arms" in text
  assert "validation rows" not in text
  other = dataclasses.replace(given, bundle="")
  with pytest.raises(ValueError, match="--bundle is not given"):
    sweep.run(other, str(tmp_path / "none"))
  scores = {"one": {}, "two": {"metric": "macro_f1"}}
  other = dataclasses.replace(given, arms=scores, grid="")
  with pytest.raises(ValueError, match="arm two has metric='macro_f1'"):
    sweep.run(other, str(tmp_path / "none"))
