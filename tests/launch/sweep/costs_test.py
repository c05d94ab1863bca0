# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from bertjax.config import ComputeConfig, SweepConfig, from_mapping
from bertjax.sweep import study
from bertjax.sweep.axes import expand
from bertjax.sweep.matching import Work
from bertjax.train import flops
from bertjax.train.program import Program
from bertjax.train.writers import TIMING
from bertjax.trials.store import Trial, trial_folder
from configs.sweeps import nsp
from launch.preflight.policy import Policy
from launch.sweep.checks import check
from launch.sweep.costs import (
  ArmCost,
  cost_table,
  match_arms,
  measured_rate,
  step_work,
)
from launch.sweep.kept import PRETRAINED

POLICY = Policy(allow=frozenset(["random_pairs"]))


def with_steps(config, steps, **fields):
  run = dataclasses.replace(config.pretrain, steps=steps)
  return dataclasses.replace(config, pretrain=run, **fields)


@pytest.fixture
def ten(config):
  """All arms of the study, in rows that hold some of the small sentences."""
  arms = from_mapping(SweepConfig, nsp.get_config().to_dict()).arms
  return with_steps(config, 150, arms=arms, match="tokens")


def test_arms_of_other_formats_have_equal_tokens(ten):
  checked = check(expand(ten), POLICY)
  config, costs = match_arms(checked.config, checked.parts)
  base = costs["mlm_nsp"].work.tokens
  assert costs["mlm_nsp"].steps == 150
  assert len({cost.steps for cost in costs.values()}) > 1
  for arm, cost in costs.items():
    assert abs(cost.work.tokens / base - 1) < 0.005
    run = study.pretrain_config(config, arm, 0)
    assert run.steps == cost.steps
    # What is reckoned is what is read.
    pipeline = checked.parts[arm].phases[0].pipeline
    read = sum(
      (pipeline.batch(step)["packs_BS"] > 0).sum() for step in range(cost.steps)
    )
    assert abs(read / cost.work.tokens - 1) < 0.005
    assert cost.work.random == 0 or "nsp" in arm
    assert cost.work.own + cost.work.random < cost.work.tokens
  text = cost_table(config, costs, dict.fromkeys(costs, 0.0), rate=1e9)
  assert "hours" in text
  assert all(f"| {arm} " in text for arm in costs)


def test_arms_that_need_no_other_steps_stay_as_they_are(config):
  config = with_steps(
    config, 100, match="tokens", chosen=("mlm_nsp", "nsp_rows")
  )
  checked = check(expand(config), POLICY)
  matched, _ = match_arms(checked.config, checked.parts)
  assert matched.arms["nsp_rows"] == checked.config.arms["nsp_rows"]


def test_what_is_matched_is_no_axis(config):
  config = with_steps(config, 100, match="tokens", grid="steps=100,200")
  checked = check(expand(config), POLICY)
  with pytest.raises(ValueError, match="steps is an axis, and match=tokens"):
    match_arms(checked.config, checked.parts)


def test_arms_of_other_sizes_have_equal_flops(config):
  grid = "model.num_layers=1,2"
  config = with_steps(config, 400, match="flops", chosen=("mlm",), grid=grid)
  checked = check(expand(config), POLICY)
  _, costs = match_arms(checked.config, checked.parts)
  one, two = (costs[f"mlm,num_layers={layers}"] for layers in (1, 2))
  assert two.parameters > one.parameters
  assert abs(two.work.flops / one.work.flops - 1) < 0.005


@pytest.mark.parametrize("kernel", ["xla", "splash"])
def test_flops_have_the_pairs_that_a_kernel_computes(config, kernel):
  """They are those of a run, of the batches that it reads."""
  checked = check(expand(with_steps(config, 100)), POLICY)
  phase = checked.parts["mlm"].phases[0]
  model = dataclasses.replace(
    phase.config.model,
    num_layers=3,
    attention_pattern="window",
    attention_window=4,
    global_every=3,
  )
  phase = dataclasses.replace(
    phase,
    config=dataclasses.replace(
      phase.config, model=model, compute=ComputeConfig(attention=kernel)
    ),
  )
  reach = flops.kernel_reach(model, phase.config.compute)
  assert (reach is None) == (kernel == "xla")
  read = [flops.count(phase.pipeline.batch(step), reach) for step in range(100)]
  counts = {
    name: float(np.mean([each[name] for each in read])) for name in read[0]
  }
  expected = flops.train_flops(
    model, counts, phase.config.objective.mask_rate * counts["tokens"]
  )
  assert abs(step_work(phase).flops / expected - 1) < 0.005


def test_an_arm_that_does_not_run_is_not_matched(config):
  arms = {**config.arms, "large": {"batch_size": 296}}
  config = with_steps(config, 150, match="tokens", arms=arms)
  chosen = expand(dataclasses.replace(config, chosen=("mlm", "nsp_rows")))
  checked = check(chosen, POLICY)
  assert {*match_arms(checked.config, checked.parts)[1]} == {
    "mlm_nsp",
    "mlm",
    "nsp_rows",
  }
  with pytest.raises(ValueError, match="arm large has"):
    match_arms(
      dataclasses.replace(checked.config, chosen=("mlm", "large")),
      checked.parts,
    )


def test_the_warm_up_is_matched_as_well(config):
  grid = "optimizer.warmup_steps=1,2"
  config = with_steps(config, 100, match="tokens", grid=grid)
  checked = check(expand(config), POLICY)
  with pytest.raises(ValueError, match="warmup_steps is an axis, and match"):
    match_arms(checked.config, checked.parts)


def test_arms_of_one_model_are_traced_once(config, monkeypatch):
  checked = check(expand(config), POLICY)
  traced = []
  make = Program.abstract_state
  monkeypatch.setattr(
    Program, "abstract_state", lambda self: traced.append(self) or make(self)
  )
  _, costs = match_arms(checked.config, checked.parts)
  assert len({cost.parameters for cost in costs.values()}) == 1
  assert len(traced) == 1


def test_the_speed_here_is_that_of_pre_training(tmp_path):
  """The median of all trials, in the FLOPs that their arms' tokens cost."""
  costs = {"a": ArmCost(1, 1, Work(tokens=10, own=10, random=0, flops=40))}
  trials = [Trial(f"a-seed{seed}", {"arm": "a"}) for seed in range(3)]
  for seed, rates in enumerate(((1, 2), (9,))):
    folder = trial_folder(tmp_path, f"a-seed{seed}") / PRETRAINED
    folder.mkdir(parents=True)
    lines = (f'{{"tokens_per_second": {rate}}}\n' for rate in rates)
    (folder / TIMING).write_text("".join(lines))
  assert measured_rate(tmp_path, trials, costs) == 8.0
  assert measured_rate(tmp_path, trials, {}) == 0.0
