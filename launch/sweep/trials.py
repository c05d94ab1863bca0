# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Run the trials of a study, each through the commands that a user would call.

A trial that fails does not stop the others.
"""

import functools
import json
import pathlib
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bertjax.config import SweepConfig
from bertjax.files import first_line, write_json, write_text
from bertjax.objectives.pretraining import SUMMARY_METRICS
from bertjax.sweep import study
from bertjax.train import progress
from bertjax.trials.store import Trial, TrialStore
from launch import finetune, pretrain
from launch.preflight.policy import Policy
from launch.run.ownership import TakenOver
from launch.sweep.board import Watcher
from launch.sweep.comparability import note_code
from launch.sweep.findings import FINDINGS, keep_findings
from launch.sweep.kept import PRETRAINED
from launch.sweep.probes import Probing, points, share_name, with_bundles

# The traceback of a trial that failed, in its folder.
ERROR = "error.txt"
# Its seconds, which are in no result.
TIMING = "timing.json"
# What a result has beside its metrics and findings: tokens and steps of
# pre-training, and the metrics after the earlier shares of its steps.
COST, POINTS = "cost", "points"
# What a trial does before its probes.
PRETRAINS = "pre-trains"


class Outcome(NamedTuple):
  """What became of the trials.

  Attributes:
    results: {arm: {seed: result}} of the trials that are done.
    failed: {name of a trial: why it failed}.
    lost: processes that ended though trials were left, and how.
  """

  results: dict[str, dict[int, dict[str, Any]]]
  failed: dict[str, str]
  lost: Sequence[str] = ()

  @property
  def failures(self) -> str:
    """What failed, in one line."""
    return "; ".join(f"{name}: {why}" for name, why in self.failed.items())

  @property
  def scores(self) -> dict[str, dict[int, dict[str, float]]]:
    """The metrics of the trials that are done."""
    others = (COST, POINTS, FINDINGS)
    return {
      arm: {
        seed: {name: result[name] for name in result if name not in others}
        for seed, result in by_seed.items()
      }
      for arm, by_seed in self.results.items()
    }

  def at(self, share: str) -> "Outcome":
    """Return the metrics after an earlier share of the steps."""
    return Outcome(
      {
        arm: {seed: each[POINTS][share] for seed, each in by_seed.items()}
        for arm, by_seed in self.results.items()
      },
      self.failed,
    )


def run_trials(
  config: SweepConfig,
  trials: Iterable[Trial],
  store: TrialStore,
  policy: Policy,
  board: Watcher,
) -> Outcome:
  """Run the trials that are not done, and try again those that failed.

  Args:
    config: the config that runs.
    trials: the next is asked for when the one before it has ended.
    store: the folder of the study.
    policy: limits of the checks, and which may fail.
    board: is told what becomes of them.

  Raises:
    TakenOver: another process has the folder now.
  """
  outcome = Outcome({}, {})
  probing = Probing(config, policy, store.guard, board.note)
  for trial in trials:
    arm, seed = trial.settings["arm"], trial.settings["seed"]
    folder = store.path(trial)
    try:
      with board.trial(trial.name):
        result = store.run(
          trial,
          functools.partial(_timed, probing, trial, guard=store.guard),
        )
    except TakenOver:
      raise
    except Exception as failure:  # one trial does not stop the others
      outcome.failed[trial.name] = first_line(failure)
      store.guard()
      write_text(folder / ERROR, traceback.format_exc())
      board.failed(trial.name, first_line(failure))
    else:
      (folder / ERROR).unlink(missing_ok=True)
      board.done(trial.name, result)
      outcome.results.setdefault(arm, {})[seed] = result
  return outcome


def describe_problems(outcome: Outcome, trials: int) -> str:
  """Return what went wrong in a study of so many trials; "" for nothing."""
  parts = []
  if outcome.failed:
    parts.append(
      f"{len(outcome.failed)} of {trials} trials failed, and the others are "
      f"done: {outcome.failures}; the same command tries them again"
    )
  if outcome.lost:
    parts.append(
      f"{'; '.join(outcome.lost)}; other processes ran what trials they could"
    )
  return "; ".join(parts)


def read_seconds(folder: pathlib.Path) -> float:
  """Return the seconds that a trial took, over all calls."""
  path = folder / TIMING
  return json.loads(path.read_bytes())["seconds"] if path.is_file() else 0.0


def _timed(
  probing: Probing,
  trial: Trial,
  folder: pathlib.Path,
  guard: Callable[[], None],
) -> dict[str, Any]:
  """Run a trial, and add its seconds to those of earlier calls."""
  guard()
  note_code(folder)
  before, began = read_seconds(folder), time.monotonic()
  try:
    return run_trial(probing, trial, folder)
  finally:
    seconds = before + time.monotonic() - began
    guard()
    write_json(folder / TIMING, {"seconds": seconds})


def run_trial(
  probing: Probing, trial: Trial, folder: pathlib.Path
) -> dict[str, Any]:
  """Run a trial; resume it if `folder` has a part of it.

  Returns:
    The metrics, the cost of pre-training, and what the trial warned of.
  """
  if probing.config.trains == "finetune":
    with progress.told_to(functools.partial(probing.tell, trial.name)):
      result = _tune(probing.config, trial, folder, probing.policy)
  else:
    result = _pretrain_and_probe(probing, trial, folder)
  return {**result, **keep_findings(probing.config, trial, folder)}


def _pretrain_and_probe(
  probing: Probing, trial: Trial, folder: pathlib.Path
) -> dict[str, Any]:
  """Return what the probes find at the end, and at earlier points."""
  config, arm, seed = (
    probing.config,
    trial.settings["arm"],
    trial.settings["seed"],
  )
  probing.tell(trial.name, PRETRAINS)
  run = with_bundles(study.pretrain_config(config, arm, seed), config.probes.at)
  trained = pretrain.run(run, str(folder / PRETRAINED), policy=probing.policy)
  *earlier, end = points(run, trained.workdir, trained.bundle)
  found = {
    share_name(point.share): probing.measure(trial, folder, point)
    for point in (*earlier, end)
  }
  *shares, last = found
  early = {POINTS: {share: found[share] for share in shares}} if shares else {}
  validation = {
    name: trained.validation[name]
    for name in SUMMARY_METRICS
    if name in trained.validation
  }
  return {
    **found[last],
    **validation,
    **early,
    COST: {"steps": trained.step, "tokens": trained.tokens},
  }


def _tune(
  config: SweepConfig, trial: Trial, folder: pathlib.Path, policy: Policy
) -> dict[str, Any]:
  """Return the score that chooses arms on dev, and the same on test."""
  arm, seed = trial.settings["arm"], trial.settings["seed"]
  tuned = study.finetune_config(config, arm, seed)
  found = finetune.run(tuned, config.bundle, str(folder), policy=policy)
  return {
    f"dev_{tuned.metric}": found.scores.dev[tuned.metric].mean,
    f"test_{tuned.metric}": found.scores.test[tuned.metric].mean,
    COST: {"steps": found.steps},
  }


def shared_seeds(
  outcome: Outcome, arms: Sequence[str]
) -> Mapping[str, Mapping[int, Mapping[str, float]]]:
  """Return the scores of the arms on the seeds that all of them have done."""
  found = outcome.scores
  scores = {arm: found[arm] for arm in arms if arm in found}
  done = [set(by_seed) for by_seed in scores.values()]
  seeds = set.intersection(*done) if done else set()
  return {
    arm: {seed: by_seed[seed] for seed in sorted(seeds)}
    for arm, by_seed in scores.items()
    if seeds
  }
