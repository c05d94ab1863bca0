# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import importlib.util

import pytest
from absl import flags

from bertjax.plan.hardware.topologies import find
from launch.preflight.policy import Policy
from launch.sweep import __main__ as sweep
from launch.sweep.backends import check_price, check_speed
from launch.sweep.on_slice import describe_cost, plan_phases
from launch.sweep.plan import make_plan
from tests.testing.tpu_plans import make_bounded_phase, make_phase

V5E = find("v5e:2x4")


def test_a_study_costs_what_its_trials_cost_and_compiles_each_shape_once(
  config,
):
  """Ten thousand steps of 0.12 s on eight chips, and twice as many.

  Their probes have as many FLOPs again.
  """
  given = dataclasses.replace(
    config, grid="steps=10000,20000", chosen=("mlm_nsp", "mlm")
  )
  plan, planned = make_plan(given, Policy()), []
  as_much = {arm: each.work.flops for arm, each in plan.costs.items()}
  plan = dataclasses.replace(plan, probe_flops=as_much)

  def planner(run, topology):
    assert topology == V5E
    planned.append(run.objective.next_sentence)
    return [make_bounded_phase()]

  lines = describe_cost(plan, str(V5E), 1.5, planner).splitlines()
  # Each loss is a step of its own, however many of them there are.
  assert sorted(planned) == ["nsp", "off"]
  cells = {
    line.split("|")[1].strip(): [each.strip() for each in line.split("|")[3:6]]
    for line in lines
    if line.startswith("| m")
  }
  assert cells == {
    f"{arm},steps={steps}": [hours, chip_hours, price]
    for arm in ("mlm_nsp", "mlm")
    for steps, hours, chip_hours, price in (
      (10_000, "0.667", "10.7", "16.00"),
      (20_000, "1.33", "21.3", "32.00"),
    )
  }
  assert lines[-1].startswith(
    "8 trials on v5e:2x4: at least 64 chip-hours, and 96.00 for them, "
    "with their probes."
  )


def test_a_step_that_does_not_fit_has_no_cost(config):
  plan = make_plan(config, Policy())
  text = describe_cost(
    plan, str(V5E), None, lambda *_: [make_phase(fits=False)]
  )
  assert text.count("does not fit |") == 3
  assert "No sum: a step does not fit into the memory of v5e:2x4" in text


@pytest.mark.parametrize(
  ("price", "topology", "words"),
  [
    (-1.0, "v5e:2x4", "price_per_chip_hour=-1.0; give 0 or more"),
    (1.2, None, "price_per_chip_hour=1.2 has no effect without --dry_run and"),
  ],
)
def test_a_price_without_chips_is_refused(price, topology, words):
  with pytest.raises(ValueError, match=words):
    check_price(price, topology)


def test_a_speed_without_a_dry_run_is_refused():
  check_speed(1e12, dry_run=True)
  check_speed(0.0, dry_run=False)
  with pytest.raises(ValueError, match=r"second=1e\+12 has no effect without"):
    check_speed(1e12, dry_run=False)


def test_a_dry_run_takes_a_topology():
  values = flags.FlagValues()
  sweep.backends.define_flags(values)
  values(["sweep", "--topology=v5e:2x4"])
  with pytest.raises(ValueError, match="--topology has no effect"):
    sweep.backends.check_flags(values)
  sweep.backends.check_flags(values, ("topology",))


@pytest.mark.full
@pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed"
)
def test_the_step_of_an_arm_is_compiled_for_chips_that_are_not_here(
  config, monkeypatch
):
  monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
  (phase,) = plan_phases(config.pretrain, find("v5e:1x1"))
  assert phase.time is not None
  assert 0 < phase.time.step < 1
