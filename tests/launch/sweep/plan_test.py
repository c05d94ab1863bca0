# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from launch.preflight.policy import Policy
from launch.sweep import __main__ as sweep
from launch.sweep.comparability import CODE
from launch.sweep.plan import make_plan


def test_a_dry_run_prints_everything_and_writes_nothing(
  config, launchers, tmp_path, capsys
):
  work = tmp_path / "work"
  sweep.dry_run(config, str(work), flops_per_second=1e9)
  text = capsys.readouterr().out
  for part in ("parameters", "tokens", "FLOPs", "hours", "and in nothing else"):
    assert part in text
  for arm in config.arms:
    for seed in range(2):
      assert f"trial {arm}-seed{seed}" in text
  assert "6 trials: about " in text
  assert not work.exists()
  assert launchers.pretrained == []
  (work / "trials" / "mlm-seed0").mkdir(parents=True)
  (work / "trials" / "mlm-seed0" / "result.json").write_text("{}")
  sweep.dry_run(config, str(work), flops_per_second=1e9)
  assert "5 trials left: about " in capsys.readouterr().out
  sweep.dry_run(config, str(work))
  assert "give --flops_per_second=RATE" in capsys.readouterr().out


def test_a_dry_run_refuses_what_the_study_would_refuse(
  config, launchers, tmp_path
):
  work = tmp_path / "work"
  sweep.run(config, str(work))
  written = (work / "identity.json").read_bytes()
  pretrain = dataclasses.replace(config.pretrain, batch_size=16)
  other = dataclasses.replace(config, pretrain=pretrain)
  with pytest.raises(ValueError, match=r"was made with .*batch_size=8, not 16"):
    sweep.dry_run(other, str(work))
  for path in work.glob(f"trials/*/{CODE}"):
    path.write_text('{"code": "0123456789abcdef"}')
  more = dataclasses.replace(config, seeds=3)
  with pytest.raises(ValueError, match="began with code 0123456789ab"):
    sweep.dry_run(more, str(work))
  assert (work / "identity.json").read_bytes() == written
  assert len(launchers.pretrained) == 6


def test_one_seed_is_told_of_before_the_first_trial(config, tmp_path, capsys):
  for seeds, said in ((1, 1), (2, 0)):
    given = dataclasses.replace(config, seeds=seeds)
    sweep.dry_run(given, str(tmp_path / "work"))
    text = capsys.readouterr().out
    assert text.count("One seed: no difference will have a spread") == said


def test_trials_cost_what_their_arms_cost(config):
  plan = make_plan(dataclasses.replace(config, grid="steps=4,8"), Policy())
  costs = {t.settings["arm"]: plan.work(t) for t in plan.trials}
  one, two = (costs[f"mlm,steps={steps}"] for steps in (4, 8))
  assert two == pytest.approx(2 * one)
  assert plan.describe().count("| mlm,steps=4 ") == 1
