# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the probes of a study answer to each test example.

It is kept beside what a probe has found, so that differences can be
bootstrapped over test examples: what would another test set have said? Where
that cannot be told, the report says why.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertjax.config import FinetuneConfig, SweepConfig
from bertjax.finetune.experiment import make_trial
from bertjax.finetune.results import ArmResult
from bertjax.finetune.trial import TrialResult, read_result
from bertjax.sweep import study
from bertjax.sweep.comparison import ByExample, SweepResult
from bertjax.trials.resampling import can_score
from bertjax.trials.store import RESULT, Trial, TrialStore, trial_folder
from data_pipelines.rows.following import NEGATIVES
from launch import tasks
from launch.sweep.kept import (
  ONLY,
  PROBES_FOLDER,
  RIGHT,
  Kept,
  describe_missing,
  find_problem,
  parse_answers,
  subtract,
)

# probes/STEP/NAME.examples.json has the answers of a probe.
SUFFIX = ".examples.json"
# Metrics of the linear probe of pairs.
_FOLLOWS = tuple(f"follows_{each}_accuracy" for each in NEGATIVES)


# (arm, seed) of a trial.
_Key = tuple[str, int]


class Found(NamedTuple):
  """What a probe finds.

  Attributes:
    values: {metric: value}.
    examples: {metric: answers}, whose scores have the value as their mean. Each
      is a text of a digit for each test example, 1 where it is right; or
      {"score": its name, "columns": what `FinetuneTask.by_example` says}.
  """

  values: Mapping[str, float]
  examples: Mapping[str, Sequence[Any]] = {}


class Examples(NamedTuple):
  """What is known of single test examples.

  Attributes:
    differences: (arm, metric) → its differences to the baseline.
    missing: of which comparisons there are none, and why, in sentences.
  """

  differences: ByExample
  missing: Sequence[str]


def step_folder(trial: pathlib.Path, step: int) -> pathlib.Path:
  """Return where a trial keeps what probes find after a step."""
  return trial / PROBES_FOLDER / f"step_{step}"


def probe_metric(tuned: FinetuneConfig, name: str) -> tuple[str, str]:
  """Return the score that is compared of a task, and the name of the metric.

  Args:
    tuned: how it is fine-tuned.
    name: one of `study.probe_tasks`.
  """
  metric = tasks.find(tuned.task).metrics[0]
  if name:
    metric = tuned.metric or metric
  return metric, "_".join(filter(None, ("probe", name, metric)))


def read_tuned(
  folder: pathlib.Path, result: ArmResult, metric: str
) -> list[Any]:
  """Return the answers on test of each seed, as `Found.examples` has them.

  Args:
    folder: workdir of a fine-tuning run.
    result: its scores.
    metric: the score that is compared.

  Returns:
    Nothing where the score does not follow from what is kept of each example.
  """
  found = []
  for seed in result.scores.seeds:
    trial = make_trial(result.scores.learning_rate, seed)
    path = trial_folder(folder, trial.name) / RESULT
    if not path.is_file():
      return []
    run = read_result(json.loads(path.read_bytes())["result"])
    if not isinstance(run, TrialResult):
      return []
    if metric == RIGHT and "test" in run.right:
      found.append(run.right["test"])
    elif can_score(metric, _arrays(run.by_example)):
      columns = {name: [*each] for name, each in run.by_example.items()}
      found.append({"score": metric, "columns": columns})
    else:
      return []
  return found


def read_examples(
  config: SweepConfig,
  store: TrialStore,
  trials: Sequence[Trial],
  result: SweepResult,
) -> Examples:
  """Return how the answers of arms differ from those of the baseline.

  Answers are those at the end of the runs. Nothing is returned for losses,
  which are of masked tokens and not of test examples, nor for a study of
  fine-tuning, which has no probes.

  Args:
    config: the config that ran.
    store: the folder of the study.
    trials: its trials.
    result: the comparison of arms, whose seeds are read.
  """
  if config.trains == "finetune":
    return Examples({}, ())
  kept = {
    (arm, seed): _read(config, store, each)
    for each in trials
    for arm, seed in [(each.settings["arm"], each.settings["seed"])]
    if arm in result.arms and seed in result.seeds
  }
  names = {
    (each.settings["arm"], each.settings["seed"]): each.name for each in trials
  }
  differences: dict[tuple[str, str], Any] = {}
  missing = []
  for metric, probe in _probes(config).items():
    answers = {
      key: found.get(metric, "kept no answers")
      for key, found in kept.items()
      if metric in result.arms[key[0]]
    }
    usable, wrong = _sort_out(answers, metric, result)
    if wrong:
      whose = {names[key]: why for key, why in wrong.items()}
      missing.append(describe_missing(metric, probe, whose, len(answers)))
    bad = {arm for arm, _ in wrong}
    for arm, by_metric in result.differences.items():
      if metric in by_metric and not bad & {arm, result.baseline}:
        ours, theirs = (
          [usable[each, seed] for seed in result.seeds]
          for each in (arm, result.baseline)
        )
        differences[arm, metric] = subtract(ours, theirs)
  return Examples(differences, missing)


def _sort_out(
  answers: Mapping[_Key, Kept | str], metric: str, result: SweepResult
) -> tuple[dict[_Key, Kept], dict[_Key, str]]:
  """Return the answers that are of use, and why the others are of none."""
  values = {
    (arm, seed): result.arms[arm][metric].values[result.seeds.index(seed)]
    for arm, seed in answers
  }
  kept = {k: each for k, each in answers.items() if isinstance(each, Kept)}
  wrong = {k: each for k, each in answers.items() if isinstance(each, str)}
  scored = (k for k in kept if not find_problem(kept[k], values[k]))
  first = kept.get(next(scored, ("", 0)))
  wrong |= {
    key: why
    for key, each in kept.items()
    if (why := find_problem(each, values[key], first))
  }
  return {k: kept[k] for k in kept if k not in wrong}, wrong


def _probes(config: SweepConfig) -> dict[str, str]:
  """Return {metric of test examples: beginning of its probe's files}.

  It is "" where the score does not follow from single answers.
  """
  arm = study.compared_with(config)
  found = {}
  for name in study.probe_tasks(config):
    tuned = study.finetune_config(config, arm, config.seed, name)
    score, metric = probe_metric(tuned, name)
    task = tasks.find(tuned.task)
    is_kept = task.by_example or (score == RIGHT and task.class_logits)
    found[metric] = (name or ONLY) if is_kept else ""
  if config.probes.pairs:
    found |= dict.fromkeys(_FOLLOWS, "frozen.pairs")
  return found


def _read(
  config: SweepConfig, store: TrialStore, trial: Trial
) -> dict[str, Kept | str]:
  """Return {metric: what a trial keeps of it, or why that is of no use}."""
  arm, seed = trial.settings["arm"], trial.settings["seed"]
  steps = study.pretrain_config(config, arm, seed).steps
  folder = step_folder(store.path(trial), steps)
  found: dict[str, Kept | str] = {}
  for path in sorted(folder.glob(f"*{SUFFIX}")):
    for metric, answers in json.loads(path.read_bytes()).items():
      try:
        if answers:
          found[metric] = parse_answers(answers)
      except ValueError as error:
        found[metric] = str(error)
  return found


def _arrays(
  columns: Mapping[str, Sequence[float]],
) -> dict[str, NDArray[np.float64]]:
  return {name: np.asarray(each) for name, each in columns.items()}
