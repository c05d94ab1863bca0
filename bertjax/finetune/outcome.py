# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What an experiment found: the learning rate, and scores over the seeds."""

import dataclasses
from collections.abc import Mapping

from bertjax.trials.best_of import expected_bests
from bertjax.trials.results import JsonResult
from bertjax.trials.statistics import Summary


@dataclasses.dataclass(frozen=True)
class Candidate(JsonResult):
  """A learning rate, and its metric on dev.

  Attributes:
    learning_rate: the rate.
    dev: the metric over the seeds that did not diverge; None if all did.
  """

  learning_rate: float
  dev: Summary | None


@dataclasses.dataclass(frozen=True)
class ExperimentResult(JsonResult):
  """The chosen learning rate, and its scores over the seeds.

  Attributes:
    learning_rate: the rate that is best on dev.
    selection: every rate that was tried.
    metric: score that chose the rate and the best steps on dev.
    seeds: seeds of the runs that did not diverge, in the order of all values.
    best_steps: the best step of each run.
    dev: {score: summary over the seeds} on dev.
    test: {score: summary over the seeds} on test; empty without a test split.
    diverged: {seed: message} of the runs that diverged, which no score counts.
    diverged_rates: {rate: number of diverged runs} among the runs that choose
      the rate.
  """

  learning_rate: float
  selection: tuple[Candidate, ...]
  metric: str
  seeds: tuple[int, ...]
  best_steps: tuple[int, ...]
  dev: Mapping[str, Summary]
  test: Mapping[str, Summary]
  diverged: Mapping[str, str] = dataclasses.field(default_factory=dict)
  diverged_rates: Mapping[str, int] = dataclasses.field(default_factory=dict)

  @property
  def expected_best(self) -> dict[str, tuple[float, ...]]:
    """The expected best metric on dev of 1, 2, … runs and of as many rates.

    Of the chosen rate's seeds, and of the means of all rates that did not
    diverge with every seed.
    """
    rates = [each.dev.mean for each in self.selection if each.dev is not None]
    seeds = self.dev[self.metric].values
    return {"seeds": expected_bests(seeds), "rates": expected_bests(rates)}

  def summary(self, split: str, score: str) -> Summary | None:
    """Return the summary of a score of "dev" or "test"; None without test."""
    return {"dev": self.dev, "test": self.test}[split].get(score)
