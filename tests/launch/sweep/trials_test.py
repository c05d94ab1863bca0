# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from launch.sweep import __main__ as sweep
from launch.sweep.trials import COST, ERROR, Outcome, shared_seeds


def test_a_trial_that_fails_does_not_stop_the_others(
  config, launchers, tmp_path, monkeypatch
):
  pretrain = launchers.pretrain

  def failing(run, workdir, policy):
    if run.seed == 1 and run.objective.next_sentence == "off":
      raise RuntimeError("out of memory\nand more")
    return pretrain(run, workdir, policy)

  monkeypatch.setattr("launch.pretrain.run", failing)
  with pytest.raises(ValueError, match=r"1 of 6 .* mlm-seed1: .*out of mem"):
    sweep.run(config, str(tmp_path / "work"))
  assert len(launchers.probed) == 5
  # What can be compared is compared: the seed that all arms have done.
  saved = json.loads((tmp_path / "work/results.json").read_text())
  assert saved["seeds"] == [0]
  error = tmp_path / "work/trials/mlm-seed1" / ERROR
  assert "RuntimeError: out of memory" in error.read_text()

  monkeypatch.setattr("launch.pretrain.run", pretrain)
  assert sweep.run(config, str(tmp_path / "work")).seeds == (0, 1)
  assert len(launchers.probed) == 6
  assert not error.exists()


def test_a_study_without_a_baseline_compares_nothing(
  config, launchers, tmp_path, monkeypatch
):
  del launchers

  def failing(*_, **__):
    raise RuntimeError("no")

  monkeypatch.setattr("launch.pretrain.run", failing)
  with pytest.raises(ValueError, match="nothing can be compared"):
    sweep.run(config, str(tmp_path / "work"))


def test_costs_are_no_metrics():
  outcome = Outcome({"a": {0: {"loss": 1.0, COST: {"steps": 3}}}}, {})
  assert shared_seeds(outcome, ["a", "b"]) == {"a": {0: {"loss": 1.0}}}
