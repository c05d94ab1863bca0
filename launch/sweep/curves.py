# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Learning curves of the trials of a study, as their metrics have them."""

import math
import types
from collections.abc import Mapping, Sequence
from typing import Any

from bertjax.objectives.pretraining import SUMMARY_METRICS
from bertjax.trials.store import Trial, TrialStore
from launch.compare.measures import tokens_at
from launch.compare.runs import Run, read_run
from launch.sweep.kept import PRETRAINED

# Points of a curve; of more, evenly spaced ones are kept.
POINTS = 100
# Name of a curve → seed → its points.
Curves = dict[str, dict[str, Any]]


def read_curves(
  store: TrialStore,
  trials: Sequence[Trial],
  trains: str,
  earlier: Mapping[str, Mapping[str, Curves]] = types.MappingProxyType({}),
) -> dict[str, dict[str, Curves]]:
  """Return curve → arm → seed → {"at": places, "values": values}.

  Places are tokens that were seen, or steps of fine-tuning. Validation is
  taken where it was measured more than once, and the training loss otherwise.
  A trial whose files cannot be read has the curves of the earlier report: what
  is kept of a study is often its results alone.

  Args:
    store: the folder of the study.
    trials: trials that are done.
    trains: what a trial does, as `SweepConfig.trains`.
    earlier: the curves of the report that is in the folder, if there is one.
  """
  found: dict[str, dict[str, Curves]] = {}
  for trial in trials:
    folder = store.path(trial)
    arm, seed = trial.settings["arm"], str(trial.settings["seed"])
    try:
      if trains == "finetune":
        curves = _of_tuning(read_run(folder))
      else:
        curves = _of_pretraining(read_run(folder / PRETRAINED))
    except (ValueError, OSError):
      curves = {
        name: by_arm[arm][seed]
        for name, by_arm in earlier.items()
        if seed in by_arm.get(arm, {})
      }
    for name, curve in curves.items():
      found.setdefault(name, {}).setdefault(arm, {})[seed] = curve
  return found


def _of_pretraining(run: Run) -> dict[str, Any]:
  curves = {
    f"validation {metric}": _points(run, run.validation, metric)
    for metric in SUMMARY_METRICS
  }
  if len(run.validation) < 2:
    curves = {"training mlm_loss": _points(run, run.train, "mlm_loss")}
  return {name: curve for name, curve in curves.items() if curve["at"]}


def _points(
  run: Run, lines: Sequence[Mapping[str, Any]], metric: str
) -> dict[str, list[float]]:
  have = _thinned(lines, metric)
  places = tokens_at(run, [line["step"] for line in have])
  return {
    "at": [round(place) for place in places],
    "values": [line[metric] for line in have] if places else [],
  }


def _of_tuning(run: Run) -> dict[str, Any]:
  assert run.result is not None
  metric = run.result.scores.metric
  for points in run.curves.values():  # a trial of a study has one seed
    have = _thinned(points, metric)
    if have:
      return {
        f"dev {metric}": {
          "at": [each["step"] for each in have],
          "values": [each[metric] for each in have],
        }
      }
  return {}


def _thinned(
  lines: Sequence[Mapping[str, Any]], metric: str
) -> list[Mapping[str, Any]]:
  """Return lines that have a finite value of a metric, at most POINTS."""
  have = [line for line in lines if math.isfinite(line.get(metric, math.nan))]
  every = max(1, -(-len(have) // POINTS))
  # From the end, so that the last one is kept.
  return have[::-1][::every][::-1]
