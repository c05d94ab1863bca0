# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the learning rate on dev, then report several seeds on test."""

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bertjax.config import FinetuneConfig
from bertjax.finetune.grouping import Check, Grouping
from bertjax.finetune.outcome import Candidate, ExperimentResult
from bertjax.finetune.resuming import Session, delete_checkpoints
from bertjax.finetune.task import Scores, rank
from bertjax.finetune.together import Choice, run_trials
from bertjax.finetune.trial import (
  DivergedTrial,
  TrialInputs,
  TrialResult,
  TrialRun,
  read_result,
  run_trial,
)
from bertjax.train.hooks import Diverged
from bertjax.trials.statistics import Summary, summarize
from bertjax.trials.store import Trial, TrialStore

logger = logging.getLogger(__name__)
Result = TrialResult | DivergedTrial
# Takes a trial, its result and its seconds: 0 if an earlier call finished it.
Report = Callable[[Trial, Result, float], None]


@dataclasses.dataclass(frozen=True)
class _Kept:
  """A finished trial whose parameters are in memory."""

  trial: Trial
  run: TrialRun


class Experiment:
  """Runs the trials of an arm that have no result yet.

  One after another, or several at once, as `runs_at_once` says.

  Args:
    make_inputs: makes data and programs. It is called when the first trial
      runs, so that an arm whose trials are all done costs nothing.
    config: learning rates, seeds and metric.
    store: the results of the trials.
    report: called for every trial.
    stop: whether a signal asks to stop.
    check: called with data, programs and seeds before trials of so many seeds
      run at once for the first time, the largest group first where that is
      known; it may raise.
  """

  def __init__(
    self,
    make_inputs: Callable[[], TrialInputs],
    config: FinetuneConfig,
    store: TrialStore,
    report: Report,
    stop: Callable[[], bool] = lambda: False,
    check: Check = lambda *_: None,
  ) -> None:
    self._make_inputs = make_inputs
    self._inputs: TrialInputs | None = None
    self._config = config
    self._store = store
    self._report = report
    self._stop = stop
    self._grouping = Grouping(config, lambda: self.inputs, check)
    # Only the best run keeps its parameters, because they may be large. The
    # winner is then rarely run again.
    self._kept: _Kept | None = None
    self._results: dict[str, Result] = {}

  def run(self) -> ExperimentResult:
    """Choose the learning rate, and summarize its runs.

    Runs that diverged are counted, and left out of the scores.

    Raises:
      ValueError: every run diverged.
    """
    rate, selection, diverged_rates = self._choose_rate()
    finished, diverged = self._results_of(rate, self._seeds)
    if not finished:
      raise _all_diverged((rate,), next(iter(diverged.values())))
    results = finished.values()
    return ExperimentResult(
      learning_rate=rate,
      selection=selection,
      metric=self._config.metric,
      seeds=tuple(finished),
      best_steps=tuple(result.best_step for result in results),
      dev=_summaries([result.dev for result in results]),
      test=_summaries([result.test for result in results]),
      diverged={str(seed): message for seed, message in diverged.items()},
      diverged_rates=diverged_rates,
    )

  def finished(self, rate: float) -> dict[int, TrialResult]:
    """Return the runs of a rate that did not diverge, by seed."""
    return self._results_of(rate, self._seeds)[0]

  @property
  def inputs(self) -> TrialInputs:
    """Data and programs, made when they are first needed."""
    if self._inputs is None:
      self._inputs = self._make_inputs()
    return self._inputs

  def winner(self, rate: float) -> Trial:
    """Return the trial of a rate that is best on dev."""
    results, _ = self._results_of(rate, self._seeds)
    return make_trial(
      rate, max(results, key=lambda seed: self._rank(results[seed]))
    )

  def trained(self, trial: Trial) -> TrialRun:
    """Return a finished trial with its best parameters.

    If they are not in memory, the trial runs again: it is a pure function of
    its settings. One that was run with others is run alone then, which is the
    same but for rounding: a difference is logged, and the result that is
    stored stays.
    """
    if self._kept is None or self._kept.trial != trial:
      self._kept = _Kept(trial, self._train(trial))
      delete_checkpoints(self._store.path(trial))
      self._tell_difference(trial, self._kept.run.result)
    return self._kept.run

  def _tell_difference(self, trial: Trial, again: TrialResult) -> None:
    stored = self._results.get(trial.name)
    metric = self._config.metric
    if not isinstance(stored, TrialResult):
      return
    if (again.best_step, again.dev) != (stored.best_step, stored.dev):
      logger.warning(
        "%s ran again, because its model was not saved: dev %s %.6g at step "
        "%d, and the stored result has %.6g at step %d; the model is that of "
        "the second run",
        trial.name,
        metric,
        again.dev[metric],
        again.best_step,
        stored.dev[metric],
        stored.best_step,
      )

  def delete_leftovers(self) -> None:
    """Delete the saved states of finished trials that a killed call has left.

    The winner may be run again after its result is stored, and saves its state
    then: this comes when its model is written.
    """
    for name in self._results:
      delete_checkpoints(self._store.path(Trial(name, {})))

  @property
  def _seeds(self) -> Sequence[int]:
    return range(self._config.seed, self._config.seed + self._config.seeds)

  def _choose_rate(
    self,
  ) -> tuple[float, tuple[Candidate, ...], dict[str, int]]:
    metric = self._config.metric
    seeds = range(
      self._config.seed, self._config.seed + self._config.selection_seeds
    )
    rates = self._config.learning_rates
    trials = [make_trial(r, seed) for r in rates for seed in seeds]
    self._check_largest(trials)
    self._run_at_once(trials)
    selection, ranks = [], {}
    failed: dict[str, int] = {}
    messages: list[str] = []
    for rate in rates:
      finished, diverged = self._results_of(rate, seeds)
      messages += diverged.values()
      dev = None
      if finished:
        summaries = _summaries([result.dev for result in finished.values()])
        dev = summaries[metric]
        # A rate that never diverges is better than one that sometimes does.
        ranks[rate] = (-len(diverged), dev.mean, -summaries["loss"].mean)
      if diverged:
        failed[f"{rate:g}"] = len(diverged)
      selection.append(Candidate(rate, dev))
    if not ranks:
      raise _all_diverged(rates, messages[0])
    return max(ranks, key=ranks.__getitem__), tuple(selection), failed

  def _results_of(
    self, rate: float, seeds: Sequence[int]
  ) -> tuple[dict[int, TrialResult], dict[int, str]]:
    """Return the finished runs of a rate, and the messages of the others."""
    self._run_at_once([make_trial(rate, seed) for seed in seeds])
    finished, diverged = {}, {}
    for seed in seeds:
      result = self._result(rate, seed)
      if isinstance(result, DivergedTrial):
        diverged[seed] = result.diverged
      else:
        finished[seed] = result
    return finished, diverged

  def _result(self, rate: float, seed: int) -> Result:
    trial = make_trial(rate, seed)
    if trial.name not in self._results:
      started = time.perf_counter()
      found = self._store.result(trial)
      result = read_result(
        found or self._store.run(trial, lambda _: self._run(trial))
      )
      seconds = 0.0 if found else time.perf_counter() - started
      if not found:
        delete_checkpoints(self._store.path(trial))
      self._results[trial.name] = result
      self._report(trial, result, seconds)
    return self._results[trial.name]

  def _run_at_once(self, trials: Sequence[Trial]) -> None:
    """Run those of some trials that have no result, several at once.

    One that is left alone stays, for `_result` to run it.
    """
    for group in self._grouping.groups(self._left(trials)):
      if len(group) > 1:
        self._run_group(group)

  def _left(self, trials: Sequence[Trial]) -> list[Trial]:
    return [
      trial
      for trial in trials
      if trial.name not in self._results and not self._store.result(trial)
    ]

  def _check_largest(self, selection: Sequence[Trial]) -> None:
    """Check the largest group that may follow before any trial trains."""
    if not self._left(selection):
      return
    groups = self._grouping.groups(self._left(selection))
    for rate in self._config.learning_rates:
      later = [make_trial(rate, seed) for seed in self._seeds]
      groups += self._grouping.groups(
        self._left([trial for trial in later if trial not in selection])
      )
    self._grouping.check(max(groups, key=len))

  def _run_group(self, group: Sequence[Trial]) -> None:
    """Run some trials at once; they are saved in the folder of the first."""
    self._grouping.check(group)
    started = time.perf_counter()
    runs = run_trials(
      self.inputs,
      self._config,
      [Choice(**trial.settings) for trial in group],
      self._session(group[0], {"trials": [dict(t.settings) for t in group]}),
    )
    seconds = (time.perf_counter() - started) / len(group)
    results = [
      self._keep(trial, run) for trial, run in zip(group, runs, strict=True)
    ]
    # The first one is the last, because its folder has what is saved of all.
    for trial, result in reversed([*zip(group, results, strict=True)]):
      self._store.run(trial, lambda _, found=result: found)
    for trial, result in zip(group, results, strict=True):
      self._results[trial.name] = read_result(result)
      self._report(trial, self._results[trial.name], seconds)
    delete_checkpoints(self._store.path(group[0]))

  def _run(self, trial: Trial) -> dict[str, Any]:
    try:
      run = self._train(trial)
    except Diverged as error:
      run = error
    return self._keep(trial, run)

  def _keep(self, trial: Trial, run: TrialRun | Diverged) -> dict[str, Any]:
    """Return the result; keep the parameters if they are the best so far."""
    if isinstance(run, Diverged):
      return DivergedTrial(str(run)).to_json()
    kept = self._kept
    if kept is None or self._rank(run.result) > self._rank(kept.run.result):
      self._kept = _Kept(trial, run)
    return run.result.to_json()

  def _train(self, trial: Trial) -> TrialRun:
    self._grouping.check([trial])
    return run_trial(
      self.inputs,
      self._config,
      **trial.settings,
      session=self._session(trial, trial.settings),
    )

  def _session(self, trial: Trial, settings: Mapping[str, Any]) -> Session:
    folder = self._store.path(trial)
    folder.mkdir(parents=True, exist_ok=True)
    return Session(folder, settings, self._stop, self._store.guard)

  def _rank(self, result: TrialResult) -> tuple[float, float]:
    return rank(result.dev, self._config.metric)


def _all_diverged(rates: Sequence[float], message: str) -> ValueError:
  return ValueError(
    f"learning_rates={tuple(rates)}: every run diverged; give lower ones "
    f"({message})"
  )


def make_trial(learning_rate: float, seed: int) -> Trial:
  """Return the trial of a learning rate and a seed."""
  # Rates that agree in six digits are two.
  short = f"{learning_rate:g}"
  rate = short if float(short) == learning_rate else repr(learning_rate)
  return Trial(
    f"rate{rate}-seed{seed}",
    {"learning_rate": learning_rate, "seed": seed},
  )


def _summaries(scores: Sequence[Scores]) -> dict[str, Summary]:
  """Summarize each score over the seeds."""
  return {
    name: summarize([each[name] for each in scores]) for name in scores[0]
  }
