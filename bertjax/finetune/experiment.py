# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""An arm: the learning rate chosen on dev, then several seeds on test."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bertjax.config import FinetuneConfig
from bertjax.finetune.scores import METRICS, Scores
from bertjax.finetune.trial import Material, Outcome, run_once
from bertjax.train.hooks import Diverged
from bertjax.trials.statistics import summarize
from bertjax.trials.store import Trial, TrialStore

Result = Mapping[str, Any]
# A trial, its result, and how long it took; 0 for one that was found done.
Report = Callable[[Trial, Result, float], None]


def silent(trial: Trial, result: Result, seconds: float) -> None:
  """Report nothing."""
  del trial, result, seconds


@dataclasses.dataclass(frozen=True)
class _Kept:
  """A run that is in memory with its parameters."""

  trial: Trial
  result: Result
  params: Any


class Experiment:
  """Runs the trials of one arm that have no result yet.

  Args:
    material: makes data and programs; called when a trial is to run, not
      before, so that a finished arm costs nothing.
    config: learning rates, seeds, metric.
    store: where results lie.
    report: told of every trial.
  """

  def __init__(
    self,
    material: Callable[[], Material],
    config: FinetuneConfig,
    store: TrialStore,
    report: Report = silent,
  ) -> None:
    self._make_material = material
    self._material: Material | None = None
    self._config = config
    self._store = store
    self._report = report
    # Parameters of the best run so far, so that the best of all need hardly
    # ever be run again; and of no other, because they may be large.
    self._kept: _Kept | None = None
    self._results: dict[str, Result] = {}

  def run(self) -> dict[str, Any]:
    """Return the chosen rate, how it was chosen, and scores over seeds.

    Raises:
      ValueError: every learning rate diverged, or the chosen one did with
        another seed.
    """
    rate, selection = self._choose_rate()
    results = [self._finished(rate, seed) for seed in self._seeds]
    summaries = {
      split: {
        metric: summarize([result[split][metric] for result in results])
        for metric in (*METRICS, "loss")
      }
      for split in ("dev", "test")
    }
    return {
      "learning_rate": rate,
      "selection": selection,
      "metric": self._config.metric,
      "seeds": list(self._seeds),
      "best_steps": [result["best_step"] for result in results],
      **{
        split: {name: each.to_json() for name, each in by_metric.items()}
        for split, by_metric in summaries.items()
      },
    }

  def winner(self, rate: float) -> Trial:
    """Return the trial of a rate that is best on dev."""
    results = {seed: self._finished(rate, seed) for seed in self._seeds}
    return make_trial(
      rate, max(results, key=lambda seed: self._rank(results[seed]))
    )

  def params(self, trial: Trial) -> Any:
    """Return the best parameters of a trial, run again if not in memory.

    A run is a pure function of its trial, so nothing is lost but its time.
    """
    if self._kept is None or self._kept.trial != trial:
      outcome = self._train(**trial.settings)
      self._kept = _Kept(trial, outcome.to_json(), outcome.params)
    return self._kept.params

  @property
  def _seeds(self) -> Sequence[int]:
    return range(self._config.seed, self._config.seed + self._config.seeds)

  def _choose_rate(self) -> tuple[float, list[dict[str, Any]]]:
    seeds = range(
      self._config.seed, self._config.seed + self._config.selection_seeds
    )
    selection, ranks = [], {}
    for rate in self._config.learning_rates:
      results = [self._result(rate, seed) for seed in seeds]
      entry: dict[str, Any] = {"learning_rate": rate, "dev": None}
      if not any("diverged" in result for result in results):
        values = [result["dev"][self._config.metric] for result in results]
        losses = [result["dev"]["loss"] for result in results]
        entry["dev"] = summarize(values).to_json()
        ranks[rate] = (summarize(values).mean, -summarize(losses).mean)
      selection.append(entry)
    if not ranks:
      raise ValueError(
        f"learning_rates={self._config.learning_rates}: every run diverged; "
        "give lower ones"
      )
    return max(ranks, key=ranks.__getitem__), selection

  def _finished(self, rate: float, seed: int) -> Result:
    result = self._result(rate, seed)
    if "diverged" in result:
      raise ValueError(
        f"learning rate {rate}, seed {seed}: {result['diverged']}"
      )
    return result

  def _result(self, rate: float, seed: int) -> Result:
    trial = make_trial(rate, seed)
    if trial.name not in self._results:
      started = time.perf_counter()
      found = self._store.result(trial)
      result = found or self._store.run(
        trial, lambda _: self._run(trial, rate, seed)
      )
      seconds = 0.0 if found else time.perf_counter() - started
      self._results[trial.name] = result
      self._report(trial, result, seconds)
    return self._results[trial.name]

  def _run(self, trial: Trial, rate: float, seed: int) -> Result:
    try:
      outcome = self._train(rate, seed)
    except Diverged as error:
      return {"diverged": str(error)}
    result = outcome.to_json()
    if self._kept is None or self._rank(result) > self._rank(self._kept.result):
      self._kept = _Kept(trial, result, outcome.params)
    return result

  def _train(self, learning_rate: float, seed: int) -> Outcome:
    if self._material is None:
      self._material = self._make_material()
    return run_once(
      self._material, self._config, learning_rate=learning_rate, seed=seed
    )

  def _rank(self, result: Result) -> tuple[float, float]:
    return Scores(**result["dev"]).rank(self._config.metric)


def make_trial(learning_rate: float, seed: int) -> Trial:
  """Return the trial of a learning rate and a seed."""
  return Trial(
    f"rate{learning_rate:g}-seed{seed}",
    {"learning_rate": learning_rate, "seed": seed},
  )
