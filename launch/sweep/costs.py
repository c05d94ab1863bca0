# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What every arm of a study costs: steps, tokens and FLOPs, before any trial.

Tokens are those of planned rows: of at most four blocks of the store, as in a
run's own report of its rows.
"""

import dataclasses
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bertjax.config import SweepConfig
from bertjax.model.parameters import count_parameters
from bertjax.sweep import study
from bertjax.sweep.axes import axes
from bertjax.sweep.differences import MATCHED_FIELDS
from bertjax.sweep.matching import (
  Work,
  matched_steps,
  phase_steps,
  total,
  with_steps,
)
from bertjax.train import flops
from bertjax.train.writers import read_rates
from bertjax.trials.markdown import markdown
from bertjax.trials.results import JsonResult
from bertjax.trials.store import Trial, trial_folder
from launch.run.assembly import RunSpec
from launch.run.phase import PhaseRun
from launch.sweep.checks import change
from launch.sweep.kept import PRETRAINED
from launch.sweep.probe_costs import Tuning


@dataclasses.dataclass(frozen=True)
class ArmCost(JsonResult):
  """The cost of one trial of an arm.

  Attributes:
    parameters: number of parameters.
    steps: number of steps.
    work: tokens and FLOPs of all steps.
  """

  parameters: int
  steps: int
  work: Work


def match_arms(
  config: SweepConfig, parts: Mapping[str, RunSpec]
) -> tuple[SweepConfig, dict[str, ArmCost]]:
  """Give every arm the steps that match it with the baseline.

  Args:
    config: an expanded config.
    parts: parts of each arm's run; those of arms that are neither chosen nor
      the reference are not looked at.

  Returns:
    The config with steps and warm-up of each arm, and the costs of the arms.

  Raises:
    ValueError: an arm cannot be matched, or an axis is what is matched.
  """
  first = reference(config, parts)
  parts = {
    arm: part
    for arm, part in parts.items()
    if arm == first or arm in config.chosen
  }
  means = {
    arm: [step_work(phase) for phase in part.phases]
    for arm, part in parts.items()
  }
  runs = {arm: study.pretrain_config(config, arm, config.seed) for arm in parts}
  steps = {arm: phase_steps(run) for arm, run in runs.items()}
  what = config.match
  if what != "steps":
    _check_axes(config, parts)
    wanted = [
      n * vars(work)[what]
      for n, work in zip(steps[first], means[first], strict=True)
    ]
    steps = {
      arm: matched_steps(wanted, [vars(each)[what] for each in work], arm, what)
      for arm, work in means.items()
    }
    config = change(
      config,
      {
        arm: with_steps(run, steps[arm])
        for arm, run in runs.items()
        if phase_steps(run) != steps[arm]
      },
    )
  parameters = _count_parameters(parts)
  return config, {
    arm: ArmCost(
      parameters=parameters[arm],
      steps=sum(steps[arm]),
      work=total(steps[arm], means[arm]),
    )
    for arm, part in parts.items()
  }


def _count_parameters(parts: Mapping[str, RunSpec]) -> dict[str, int]:
  """Return the number of parameters of each arm; each model is traced once."""
  programs = {arm: part.program for arm, part in parts.items()}
  counts = {
    model: count_parameters(program.abstract_state().params)
    for model, program in {
      program.model: program for program in programs.values()
    }.items()
  }
  return {arm: counts[program.model] for arm, program in programs.items()}


def _check_axes(config: SweepConfig, parts: Mapping[str, RunSpec]) -> None:
  """Refuse arms that change what matching sets."""
  own = dataclasses.replace(
    config, arms={arm: config.arms[arm] for arm in parts}
  )
  taken = [name for name in axes(own) if name in MATCHED_FIELDS]
  if taken:
    raise ValueError(
      f"{taken[0]} is an axis, and match={config.match} gives every arm its "
      "steps; leave the axis out, or give --match=steps"
    )


def reference(config: SweepConfig, parts: Mapping[str, Any]) -> str:
  """Return the arm that others are matched with: the baseline if it can run."""
  first = config.baseline
  return first if first in parts else study.compared_with(config)


def step_work(phase: PhaseRun) -> Work:
  """Return the mean work of a step of a phase."""
  config, report = phase.config, phase.pipeline.report()
  rows, numbers_N = config.batch_size, phase.pipeline.examples_by_length()
  counts = flops.counts_of_lengths(
    np.arange(len(numbers_N)),
    rows * numbers_N,
    flops.kernel_reach(config.model, config.compute),
  )
  tokens = counts["tokens"]
  return Work(
    tokens=tokens,
    own=rows * report["own_tokens_per_row"],
    random=rows * report["random_tokens_per_row"],
    flops=flops.train_flops(
      config.model, counts, config.objective.mask_rate * tokens
    ),
  )


def budget_table(config: SweepConfig, tuning: Mapping[str, Tuning]) -> str:
  """Return a Markdown table of the budget of each arm of a fine-tuning study.

  Args:
    config: an expanded config.
    tuning: of a trial of each arm.
  """
  rows = []
  for arm in config.chosen:
    tuned = study.finetune_config(config, arm, config.seed)
    trials = config.seeds * len(tuned.learning_rates)
    steps = tuning[arm].steps
    read = steps * tuned.batch_size
    rows.append([arm, str(trials), f"{steps:,}", f"{read:,}"])
  return markdown(["arm", "trials", "steps", "examples read"], rows)


def cost_table(
  config: SweepConfig,
  costs: Mapping[str, ArmCost],
  probes: Mapping[str, float],
  rate: float = 0.0,
) -> str:
  """Return a Markdown table of the arms that run.

  Args:
    config: an expanded config.
    costs: by arm.
    probes: FLOPs of the probes of a trial, by arm.
    rate: FLOP/s of a run here; 0 where it is not known, and no hours are shown.
  """
  base = costs[reference(config, costs)]
  rows = [
    [
      arm,
      str(config.seeds),
      f"{cost.parameters:,}",
      f"{cost.steps:,}",
      f"{cost.work.tokens:,.0f}",
      f"{cost.work.tokens / base.work.tokens - 1:+.2%}",
      f"{cost.work.own:,.0f}",
      f"{cost.work.random:,.0f}",
      f"{cost.work.flops:.3e}",
      f"{cost.work.flops / base.work.flops - 1:+.2%}",
      f"{probes[arm]:.3e}",
      *(
        [f"{(cost.work.flops + probes[arm]) / rate / 3600:.2f}"] if rate else []
      ),
    ]
    for arm, cost in ((arm, costs[arm]) for arm in config.chosen)
  ]
  header = [
    *("arm", "trials", "parameters", "steps", "tokens"),
    *("to baseline", "own", "random", "FLOPs", "to baseline"),
    "FLOPs of probes",
    *(["hours"] if rate else []),
  ]
  return markdown(header, rows)


def measured_rate(
  folder: pathlib.Path, trials: Sequence[Trial], costs: Mapping[str, ArmCost]
) -> float:
  """Return the median FLOP/s of the trials in a folder; 0 without trials."""
  rates = []
  for trial in trials:
    if costs:
      work = costs[trial.settings["arm"]].work
      workdir = trial_folder(folder, trial.name) / PRETRAINED
      rates += [rate * work.flops / work.tokens for rate in read_rates(workdir)]
  return statistics.median(rates) if rates else 0.0
