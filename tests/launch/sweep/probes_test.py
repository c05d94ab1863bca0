# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import pytest

from bertjax.config import ProbesConfig
from bertjax.sweep import study
from bertjax.sweep.axes import expand
from bertjax.train.progress import make_tellers
from configs.sweeps import nsp
from launch import finetune
from launch.sweep import __main__ as sweep
from launch.sweep.board import Board
from tests.testing import step_records


def with_probes(config, **fields):
  return dataclasses.replace(
    config,
    probes=ProbesConfig(**fields),
    chosen=("mlm_nsp", "mlm"),
    seeds=1,
  )


@pytest.fixture
def tasks(place):
  table = {"kind": "table", "train": str(place / "table.jsonl")}
  return {
    "few": {"task": {**table, "labels_per_class": 5}},
    "all": {"task": table},
  }


def test_a_trial_is_probed_on_every_task_at_every_point(
  config, launchers, tasks, tmp_path
):
  config = with_probes(config, tasks=tasks, at=(0.5, 1.0))
  result = sweep.run(config, str(tmp_path / "work"))
  run, folder = launchers.pretrained[0]
  assert run.checkpoint.bundles_at == (0.5,)
  points = [f"{folder}/bundles/step_2"] * 2 + [f"{folder}/bundle"] * 2
  assert [bundle for bundle, _ in launchers.probed[:4]] == points
  assert len({workdir for _, workdir in launchers.probed}) == 8
  probed = {"probe_few_accuracy", "probe_all_accuracy"}
  assert probed < set(result.arms["mlm"])
  report = json.loads((tmp_path / "work/report.json").read_text())
  (half,) = report["points"].values()
  assert {*report["points"]} == {"0.5"}
  assert {*half["arms"]["mlm"]} == {*probed, "mlm_loss"}
  # A point has a validation of its own, and arms are compared there, too.
  assert half["arms"]["mlm"]["mlm_loss"]["mean"] == 12.0
  assert half["differences"]["mlm"]["probe_few_accuracy"]["mean"] == (
    pytest.approx(0.4)
  )
  # One seed has a difference, and no interval.
  compared = {each["metric"]: each for each in half["comparisons"]}
  assert {*compared} == probed
  assert {each["conclusion"] for each in compared.values()} == {"no spread"}


def test_a_kill_between_probes_redoes_none(config, launchers, tasks, tmp_path):
  config = with_probes(config, tasks=tasks, at=(0.5, 1.0))
  whole = sweep.run(config, str(tmp_path / "whole"))
  text = (tmp_path / "whole/report.json").read_bytes()
  launchers.probed.clear()
  killed, again = 0, None
  for stop in (1, 6, -1):
    launchers.fail_at = stop
    try:
      again = sweep.run(config, str(tmp_path / "work"))
    except KeyboardInterrupt:
      killed += 1
  assert killed == 2
  assert len(launchers.probed) == 8
  assert again == whole
  assert (tmp_path / "work/report.json").read_bytes() == text


def test_a_trial_tells_which_probe_runs_and_how_far_it_is(
  config, launchers, tasks, tmp_path, monkeypatch
):
  tune, noted = launchers.finetune, []

  def finetune(*given, **named):
    for hook in make_tellers(4):
      hook.record(step_records.make(2))
    return tune(*given, **named)

  monkeypatch.setattr("launch.finetune.run", finetune)
  monkeypatch.setattr(Board, "note", lambda _, *given: noted.append(given))
  config = with_probes(config, tasks=tasks, at=(0.5, 1.0))
  sweep.run(config, str(tmp_path / "work"))
  told = [text for name, text in noted if name == "mlm-seed0"]
  assert told[0] == "pre-trains"
  assert [text.partition("  ")[0] for text in told[1::2]] == [
    *("probe few at step 2", "probe all at step 2", "probe few", "probe all")
  ]
  assert told[4].startswith("probe all at step 2  step 2/4  loss 0.5000")
  sweep.run(config, str(tmp_path / "work"))
  assert len(noted) == 2 * len(told)  # what is measured is not told again


@pytest.mark.parametrize(
  ("fields", "words"),
  [
    ({"at": (0.5,)}, "probes.at=0.5; give ascending shares .* end with"),
    ({"at": (0.5, 0.5, 1.0)}, "probes.at=0.5,0.5,1"),
    ({"at": (1.5,)}, r"probes.at\[0\]=1.5; give"),
    ({"tasks": {"a b": {}}}, "the name 'a b'"),
    ({"tasks": {"a": 3}}, "probes.tasks.a=3; give the fields"),
    ({"tasks": {"a": {"step": 3}}}, "probes.tasks.a: step is no field"),
    (
      {"tasks": {"a": {"task": {"kind": "table", "train": "no.csv"}}}},
      "probe a: .*no.csv",
    ),
  ],
)
def test_a_probe_that_cannot_be_made_is_told_before_the_first_trial(
  config, launchers, tmp_path, fields, words
):
  with pytest.raises(ValueError, match=words):
    sweep.run(with_probes(config, **fields), str(tmp_path / "work"))
  assert launchers.pretrained == []
  assert not (tmp_path / "work").exists()


def test_probes_are_of_the_studys_identity(config, launchers, tasks, tmp_path):
  sweep.run(with_probes(config, tasks=tasks), str(tmp_path / "work"))
  done = len(launchers.probed)
  for fields, words in (
    (
      {"at": (0.5, 1.0), "tasks": tasks},
      r"probes.at=\[1.0\], not \[0.5, 1.0\]",
    ),
    ({"tasks": {"few": tasks["few"]}}, "probes.tasks.all.task.kind='table'"),
  ):
    with pytest.raises(ValueError, match=words):
      sweep.run(with_probes(config, **fields), str(tmp_path / "work"))
  assert len(launchers.probed) == done


def test_a_named_task_takes_no_data_of_another(config, tasks):
  base = dataclasses.replace(
    config.finetune,
    metric="macro_f1",
    task=dataclasses.replace(config.finetune.task, labels_per_class=3),
  )
  config = dataclasses.replace(with_probes(config, tasks=tasks), finetune=base)
  tuned = study.finetune_config(expand(config), "mlm", 0, "all")
  assert (tuned.task.labels_per_class, tuned.metric) == (0, "")
  assert tuned.steps == base.steps


def test_probes_of_a_study_of_fine_tuning_are_refused(config, tmp_path):
  config = dataclasses.replace(
    with_probes(config, at=(0.5, 1.0)), trains="finetune", match="steps"
  )
  with pytest.raises(ValueError, match="probes have no effect"):
    sweep.run(config, str(tmp_path / "work"))


@pytest.mark.full
def test_a_study_is_probed_through_the_launchers(config, tasks, tmp_path):
  config = with_probes(
    config, at=(0.5, 1.0), shared_rows=8, pairs=40, tasks={"all": tasks["all"]}
  )
  sweep.run(config, str(tmp_path / "work"))
  path = tmp_path / "work/report.json"
  text = path.read_bytes()
  report = json.loads(text)
  for arms in (report["arms"], report["points"]["0.5"]["arms"]):
    assert {*arms["mlm"]} == {
      "probe_all_accuracy",
      "shared_mlm_loss",
      "shared_mlm_accuracy",
      "follows_same_document_accuracy",
      "follows_other_document_accuracy",
      "mlm_loss",
      "mlm_accuracy",
    }
    # Where it is trained.
    assert "nsp_accuracy" in arms["mlm_nsp"]
  losses = [
    arms["mlm"]["shared_mlm_loss"]["mean"]
    for arms in (report["points"]["0.5"]["arms"], report["arms"])
  ]
  assert losses[0] != losses[1]
  # With one seed, examples alone are drawn from.
  resampled = {
    each["metric"]
    for each in report["comparisons"]
    if {*each["bootstrap"]} == {"examples"}
  }
  assert resampled == {
    "probe_all_accuracy",
    "follows_same_document_accuracy",
    "follows_other_document_accuracy",
  }
  sweep.run(config, str(tmp_path / "work"))
  assert path.read_bytes() == text


@pytest.mark.full
def test_a_probe_with_two_rates_chooses_by_dev_in_every_arm(
  config, tasks, tmp_path, monkeypatch
):
  """Each arm tries both, so that none has a larger budget."""
  tune, found = finetune.run, []

  def run(*given, **named):
    result = tune(*given, **named)
    found.append(result.scores)
    return result

  monkeypatch.setattr(finetune, "run", run)
  config = dataclasses.replace(
    with_probes(config, tasks={"all": {**tasks["all"], "steps": 40}}),
    finetune=dataclasses.replace(config.finetune, learning_rates=(1e-9, 1e-2)),
    chosen=("mlm", "sop"),
    arms={**config.arms, "sop": nsp.ARMS["sop"]},
    baseline="mlm",
  )
  result = sweep.run(config, str(tmp_path))
  assert [len(each.selection) for each in found] == [2, 2]
  assert [each.learning_rate for each in found] == [1e-2, 1e-2]
  # The order of sentences is scored where it is trained.
  assert "sop_accuracy" in result.arms["sop"]
  assert "sop_accuracy" not in result.arms["mlm"]
