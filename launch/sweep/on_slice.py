# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The least that the trials of a study cost on chips that are not here.

Steps are compiled for the topology, one for all arms whose steps are of equal
shape; times are bounds and not measurements, as those of `launch.plan`. Probes
are reckoned at the FLOP/s of pre-training, which no small batch is faster than.
"""

import dataclasses
from collections.abc import Callable, Sequence

from bertjax.config import CheckpointConfig, EvaluationConfig, PretrainConfig
from bertjax.plan import cost as costs_of_runs
from bertjax.plan import environment
from bertjax.plan.hardware.topologies import Topology, find, get_devices
from bertjax.plan.results import PhasePlan, RunCost
from bertjax.sweep import study
from bertjax.sweep.matching import phase_steps
from bertjax.train.program import without_inputs
from bertjax.trials.markdown import cell, markdown
from launch.plan import resolve_for
from launch.sweep.plan import Plan

# The phases of a run, planned for a topology.
Planner = Callable[[PretrainConfig, Topology], Sequence[PhasePlan]]


def plan_phases(run: PretrainConfig, topology: Topology) -> list[PhasePlan]:
  """Compile the train steps of a run for a topology, and bound their time.

  Raises:
    ValueError: the batch or the mesh does not fit the topology, or libtpu is
      missing.
  """
  from bertjax.plan import compiling, planning

  environment.set_environment()
  resolved, _ = resolve_for(run, topology)
  devices = get_devices(topology)
  program = compiling.build(resolved.config, devices)
  return [
    planning.plan_phase(
      program, phase, topology, devices, count=False, evaluation=False
    )
    for phase in resolved.phases
  ]


def describe_cost(
  plan: Plan,
  name: str,
  price: float | None = None,
  planner: Planner = plan_phases,
) -> str:
  """Return a Markdown table of what the trials of each arm cost, and the sum.

  Args:
    plan: a study of pre-training, matched.
    name: name of the chips that each trial would run on, such as v5e:2x4.
    price: of a chip-hour, in any currency; None shows no money.
    planner: plans a run.

  Raises:
    ValueError: see `plan_phases`; or there is no such topology, or the study
      fine-tunes a bundle.
  """
  config, topology = plan.config, find(name)
  if config.trains != "pretrain":
    raise ValueError(
      f"--topology={topology} has no effect with trains=finetune: steps of "
      "pre-training are what is planned; leave it out"
    )
  planned: dict[PretrainConfig, Sequence[PhasePlan]] = {}
  costs: dict[str, RunCost | None] = {}
  for arm in config.chosen:
    run = study.pretrain_config(config, arm, config.seed)
    shape = _shape(run)
    if shape not in planned:
      print(f"compiling the train step of arm {arm} for {topology} …")
      planned[shape] = planner(run, topology)
    cost = _cost(run, planned[shape], topology, price)
    share = plan.probe_flops[arm] / plan.costs[arm].work.flops
    costs[arm] = cost and _scaled(cost, 1 + share)
  rows = [_row(arm, config.seeds, each) for arm, each in costs.items()]
  header = ["arm", "trials", "hours a trial", "chip-hours", "price"]
  return f"{markdown(header, rows)}\n\n{_total(plan, costs, topology)}"


def _shape(run: PretrainConfig) -> PretrainConfig:
  """Return what the time of a step depends on: the run without the rest.

  The contents of rows do not change that time; their shape does.
  """
  run = without_inputs(run)
  objective, data = run.objective, run.data
  return dataclasses.replace(
    run,
    objective=dataclasses.replace(objective, input_format="segment_pair"),
    data=dataclasses.replace(data, store="", stores=""),
    evaluation=EvaluationConfig(),
    checkpoint=CheckpointConfig(),
  )


def _cost(
  run: PretrainConfig,
  phases: Sequence[PhasePlan],
  topology: Topology,
  price: float | None,
) -> RunCost | None:
  """Return the cost of a trial; None where its step has no bound."""
  times = [
    (steps, phase.positions, phase.time.step)
    for steps, phase in zip(phase_steps(run), phases, strict=True)
    if phase.time is not None
  ]
  if len(times) < len(phases):
    return None
  return costs_of_runs.of_run(times, topology, price)


def _scaled(cost: RunCost, factor: float) -> RunCost:
  """Return the cost of a trial that takes so many times as long."""
  return dataclasses.replace(
    cost,
    hours=factor * cost.hours,
    chip_hours=factor * cost.chip_hours,
    price=None if cost.price is None else factor * cost.price,
  )


def _row(arm: str, trials: int, each: RunCost | None) -> list[str]:
  if each is None:
    return [arm, str(trials), *("does not fit", cell(None), cell(None))]
  return [
    arm,
    str(trials),
    f"{each.hours:.3g}",
    f"{trials * each.chip_hours:.3g}",
    cell(None) if each.price is None else f"{trials * each.price:,.2f}",
  ]


def _total(
  plan: Plan, costs: dict[str, RunCost | None], topology: Topology
) -> str:
  known = [each for each in costs.values() if each is not None]
  if len(known) < len(costs):
    return (
      f"No sum: a step does not fit into the memory of {topology}, or cannot "
      "be bounded. Give a smaller batch or more chips."
    )
  trials = plan.config.seeds
  chip_hours = trials * sum(each.chip_hours for each in known)
  money = [each.price for each in known if each.price is not None]
  price = f", and {trials * sum(money):,.2f} for them" if money else ""
  return (
    f"{trials * len(known)} trials on {topology}: at least {chip_hours:.3g} "
    f"chip-hours{price}, with their probes. Evaluation, checkpoints and "
    "restarts are extra."
  )
