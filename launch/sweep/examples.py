# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which test examples the probes of a study get right.

They are kept beside what a probe has found, so that differences can be
bootstrapped over test examples: what would another test set have said? Of
scores that are no mean over examples, such as F1, nothing is kept.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertjax.config import SweepConfig
from bertjax.finetune.experiment import make_trial
from bertjax.finetune.results import ArmResult
from bertjax.finetune.trial import TrialResult, read_result
from bertjax.sweep import study
from bertjax.sweep.comparison import SweepResult
from bertjax.trials.answers import read_right
from bertjax.trials.store import Trial, TrialStore

# In the folder of a trial: probes/STEP/NAME.json, and the folders of tasks.
PROBES_FOLDER = "probes"
# probes/STEP/NAME.examples.json has the answers of a probe.
SUFFIX = ".examples.json"
# The score that is a mean over examples.
_MEAN = "accuracy"
_ROUNDING = 1e-6


class Found(NamedTuple):
  """What a probe finds.

  Attributes:
    values: {metric: value}.
    right: {metric: answers}. Each of the answers is a text of a digit for each
      test example, 1 where it is right; the value is the mean of them all.
  """

  values: Mapping[str, float]
  right: Mapping[str, Sequence[str]] = {}


def step_folder(trial: pathlib.Path, step: int) -> pathlib.Path:
  """Return where a trial keeps what probes find after a step."""
  return trial / PROBES_FOLDER / f"step_{step}"


def read_tuned(
  folder: pathlib.Path, result: ArmResult, metric: str
) -> list[str]:
  """Return the answers on test of each seed of a fine-tuning run.

  Args:
    folder: its workdir.
    result: its scores.
    metric: the score that is compared.

  Returns:
    Nothing where the score is no mean over examples.
  """
  if metric != _MEAN:
    return []
  found = []
  for seed in result.scores.seeds:
    trial = make_trial(result.scores.learning_rate, seed)
    path = folder / "trials" / trial.name / "result.json"
    if not path.is_file():
      return []
    run = read_result(json.loads(path.read_text())["result"])
    if not isinstance(run, TrialResult) or "test" not in run.right:
      return []
    found.append(run.right["test"])
  return found


def read_differences(
  config: SweepConfig,
  store: TrialStore,
  trials: Sequence[Trial],
  result: SweepResult,
) -> dict[tuple[str, str], NDArray[np.float64]]:
  """Return {(arm, metric): its answers minus those of the baseline}.

  They are of the end of the runs, of shape [seeds, test examples]. Metrics of
  which a trial has no answers, or others than its value is of, are left out. A
  study of fine-tuning has no probes.

  Args:
    config: the config that ran.
    store: the folder of the study.
    trials: its trials.
    result: the comparison of arms, whose seeds are read.
  """
  if config.trains == "finetune":
    return {}
  by_trial = {
    (each.settings["arm"], each.settings["seed"]): _read(config, store, each)
    for each in trials
    if each.settings["seed"] in result.seeds
  }

  def rows_of(arm: str, metric: str) -> NDArray[np.float64] | None:
    found = [by_trial[arm, seed].get(metric) for seed in result.seeds]
    rows = [row for row in found if row is not None]
    sizes = {len(row) for row in rows}
    if len(rows) < len(found) or len(sizes) != 1:
      return None
    values_SN = np.asarray(rows)
    expected_S = result.arms[arm][metric].values
    same = np.allclose(values_SN.mean(axis=1), expected_S, atol=_ROUNDING)
    return values_SN if same else None

  differences = {}
  for arm, by_metric in result.differences.items():
    for metric in by_metric:
      ours, theirs = rows_of(arm, metric), rows_of(result.baseline, metric)
      if ours is None or theirs is None or ours.shape != theirs.shape:
        continue
      if ours.shape[1] > 1:
        differences[arm, metric] = ours - theirs
  return differences


def _read(
  config: SweepConfig, store: TrialStore, trial: Trial
) -> dict[str, NDArray[np.float64]]:
  """Return {metric: share of its answers that is right, by example}."""
  arm, seed = trial.settings["arm"], trial.settings["seed"]
  steps = study.pretrain_config(config, arm, seed).steps
  folder = step_folder(store.path(trial), steps)
  found = {}
  for path in sorted(folder.glob(f"*{SUFFIX}")):
    for metric, answers in json.loads(path.read_text()).items():
      if answers and len({*map(len, answers)}) == 1:
        right_AN = np.array([*map(read_right, answers)])
        found[metric] = right_AN.mean(axis=0)
  return found
