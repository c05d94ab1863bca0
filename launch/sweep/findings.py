# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What each trial of a study warned of: its pre-training and its fine-tuning.

A trial keeps it in its result, because its folders may be gone when the study
is read.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from bertjax.config import SweepConfig
from bertjax.finetune.results import RESULTS
from bertjax.sweep import study
from bertjax.sweep.findings import (
  InTrial,
  StudyFinding,
  TrialFinding,
  group_findings,
)
from bertjax.trials.finding import FoundWrong
from bertjax.trials.store import Trial, TrialStore
from launch.preflight.findings import Finding, listed
from launch.run.findings import read_findings
from launch.sweep.kept import PRETRAINED
from launch.sweep.probes import points, tuned_folder, with_bundles

# In the result of a trial.
FINDINGS = "findings"
_PRETRAINING = "pre-training"
_Found = TypeVar("_Found", Finding, FoundWrong)


class Part(NamedTuple):
  """What a part of a trial warned of.

  Attributes:
    name: name of the part.
    at: when it was, in words; "" at the end of the trial.
    found: its findings; None if none are kept.
  """

  name: str
  at: str
  found: Sequence[FoundWrong] | None


class Told(NamedTuple):
  """What the trials of a study warned of.

  Attributes:
    findings: each check once.
    missing: whose findings are not known, in sentences.
  """

  findings: tuple[StudyFinding, ...]
  missing: Sequence[str]


def with_study_flags(
  found: _Found, group: Literal["pretrain", "finetune"]
) -> _Found:
  """Return a finding of a run with the flags that a study has for its fields.

  Args:
    found: the finding.
    group: the group of `SweepConfig` that has the fields of the run.
  """
  words = {
    name: value.replace("--config.", f"--config.{group}.")
    for name, value in vars(found).items()
    if isinstance(value, str)
  }
  return dataclasses.replace(found, **words)


def keep_findings(
  config: SweepConfig, trial: Trial, folder: pathlib.Path
) -> dict[str, Any]:
  """Return what the result of a trial keeps of its findings.

  Args:
    config: the config that runs.
    trial: a trial that is done.
    folder: its folder.
  """
  parts = _read(config, trial, folder)
  if any(part.found is None for part in parts):
    return {}
  return {FINDINGS: [each.to_json() for each in _each_once(parts)]}


def study_findings(
  config: SweepConfig,
  store: TrialStore,
  trials: Sequence[Trial],
  results: Mapping[str, Mapping[int, Mapping[str, Any]]],
) -> Told:
  """Return what the trials warned of, done or not.

  Args:
    config: the config that ran.
    store: the folder of the study.
    trials: its trials.
    results: of the trials that are done, by arm and by seed.
  """
  found: list[InTrial] = []
  known: dict[str, list[int]] = {}
  missing = []
  for trial in trials:
    arm, seed = trial.settings["arm"], trial.settings["seed"]
    result = results.get(arm, {}).get(seed)
    if result is not None and FINDINGS in result:
      told = [TrialFinding.from_json(each) for each in result[FINDINGS]]
    else:
      parts = _read(config, trial, store.path(trial))
      told = _each_once(parts)
      lacking = [part for part in parts if part.found is None]
      if result is not None and lacking:
        missing.append(trial.name)
      elif len(lacking) == len(parts):  # it has not begun
        continue
    known.setdefault(arm, []).append(seed)
    found += [InTrial(arm, seed, _of_study(each)) for each in told]
  return Told(group_findings(found, known), [*_describe_missing(missing)])


def _describe_missing(names: Sequence[str]) -> Iterator[str]:
  if names:
    yield (
      f"What {listed(names)} warned of is not known, or not all of it: an "
      "earlier version ran them, or their files are gone."
    )


def _of_study(told: TrialFinding) -> TrialFinding:
  group = "pretrain" if told.of == _PRETRAINING else "finetune"
  return TrialFinding(told.of, with_study_flags(told.found, group))


def _read(
  config: SweepConfig, trial: Trial, folder: pathlib.Path
) -> list[Part]:
  """Return the parts of a trial, the end of the trial before its earlier steps.

  What the end has stands for them, too.
  """
  if config.trains == "finetune":
    return [Part("fine-tuning", "", _of_tuning(folder))]
  arm, seed = trial.settings["arm"], trial.settings["seed"]
  kept = read_findings(folder / PRETRAINED)
  parts = [Part(_PRETRAINING, "", kept and kept.findings)]
  run = with_bundles(study.pretrain_config(config, arm, seed), config.probes.at)
  *earlier, end = points(run, str(folder / PRETRAINED), "")
  for point in (end, *earlier):
    at = "" if point.last else f" at step {point.step:,}"
    parts += [
      Part(
        f"probe {name}" if name else "fine-tuning",
        at,
        _of_tuning(tuned_folder(folder, point, name)),
      )
      for name in study.probe_tasks(config)
    ]
  return parts


def _each_once(parts: Iterable[Part]) -> list[TrialFinding]:
  """Return findings of parts, each at the first time that has it."""
  told: dict[tuple[str, FoundWrong], TrialFinding] = {}
  for name, at, found in parts:
    for each in found or ():
      told.setdefault((name, each), TrialFinding(f"{name}{at}", each))
  return [*told.values()]


def _of_tuning(folder: pathlib.Path) -> Sequence[FoundWrong] | None:
  path = folder / RESULTS
  if not path.is_file():
    return None
  saved = json.loads(path.read_bytes())
  if "findings" not in saved:
    return None
  return [FoundWrong.from_json(each) for each in saved["findings"]]
