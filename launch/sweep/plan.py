# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A study before its first trial: checked, matched, and its cost reckoned."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bertjax.config import SweepConfig
from bertjax.sweep import study
from bertjax.sweep.axes import expand
from bertjax.sweep.differences import Differences
from bertjax.trials.store import Trial
from launch.preflight.policy import Policy
from launch.sweep.checks import check
from launch.sweep.comparability import compare_arms
from launch.sweep.costs import ArmCost, budget_table, cost_table, match_arms
from launch.sweep.probe_costs import Tuning, probe_flops


@dataclasses.dataclass(frozen=True)
class Plan:
  """What runs, and what is known of it.

  Attributes:
    config: the config that runs, with the steps of each arm.
    trials: in the order in which they run.
    identity: what all trials share.
    differences: in what the arms differ.
    costs: of each arm; none where a bundle is fine-tuned.
    tuning: what it costs to fine-tune a bundle of each arm.
    probe_flops: of all probes of a trial of each arm, or of all of a trial
      where a bundle is fine-tuned.
  """

  config: SweepConfig
  trials: list[Trial]
  identity: dict[str, Any]
  differences: Differences
  costs: Mapping[str, ArmCost]
  tuning: Mapping[str, Tuning]
  probe_flops: Mapping[str, float]

  def describe(self, rate: float = 0.0) -> str:
    """Return tables of the budget, and the differences.

    Args:
      rate: FLOP/s of a run; 0 shows no hours.
    """
    if self.costs:
      budget = cost_table(self.config, self.costs, self.probe_flops, rate)
    else:
      budget = budget_table(self.config, self.tuning)
    return "\n\n".join([budget, str(self.differences), *self._notes()]) + "\n"

  def _notes(self) -> list[str]:
    """Return what the seeds will not be able to say, before they run."""
    if self.config.seeds > 1:
      return []
    return [
      "One seed: no difference will have a spread to compare it with, and a "
      "part or all of each may be chance. Give --seeds=3 or more."
    ]

  def describe_hours(self, trials: Sequence[Trial], rate: float) -> str:
    """Return the hours of some trials.

    Args:
      trials: trials of the study.
      rate: FLOP/s of a run. Probes are reckoned at the same: their small
        batches may be slower, and what they compile is not counted.
    """
    arms = [trial.settings["arm"] for trial in trials]
    probing = sum(self.probe_flops[arm] for arm in arms) / rate / 3600
    if not self.costs:
      return f"about {probing:.2f} h of fine-tuning at {rate:.3g} FLOP/s"
    own = sum(self.costs[arm].work.flops for arm in arms) / rate / 3600
    return (
      f"about {own + probing:.2f} h at {rate:.3g} FLOP/s, {own:.2f} of "
      f"pre-training and {probing:.2f} of probes"
    )

  def work(self, trial: Trial) -> float:
    """Return what a trial costs, in a unit that all trials of a study share."""
    arm = trial.settings["arm"]
    if self.costs:
      return self.costs[arm].work.flops
    return self.tuning[arm].steps


def make_plan(config: SweepConfig, policy: Policy) -> Plan:
  """Check a study, and match its arms.

  Raises:
    ValueError: a field of the config cannot be used, trials cannot be compared,
      or a check fails.
  """
  study.make_trials(config)
  given = expand(config)
  config, identity, parts, tuning = check(given, policy)
  costs: Mapping[str, ArmCost] = {}
  probing = {arm: each.flops for arm, each in tuning.items()}
  if parts:
    config, costs = match_arms(config, parts)
    models = {arm: part.config.model for arm, part in parts.items()}
    probing = probe_flops(config, models, tuning)
  return Plan(
    config=config,
    trials=study.make_trials(config),
    identity=identity,
    differences=compare_arms(given, config, parts),
    costs=costs,
    tuning=tuning,
    probe_flops=probing,
  )
