# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Results of trials on disk, so that no trial runs twice.

A sweep is a list of trials, and so is the choice of a learning rate. Each
trial has a folder, and its `result.json` appears atomically when the trial has
finished.
"""

import dataclasses
import json
import logging
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bertjax import files
from bertjax.config import (
  FinetuneConfig,
  ModelConfig,
  ObjectiveConfig,
  flatten_fields,
  renamed,
)
from bertjax.config.fields import before_path
from bertjax.trials.results import VERSION, check_version

# Folder of the trial → its result, JSON-able.
RunTrial = Callable[[pathlib.Path], Mapping[str, Any]]

# How many differing fields an error message names.
_SHOWN = 3
# In the folder of a study, and of a trial that ran apart: what all trials of
# the study share.
IDENTITY = "identity.json"
# In the folder of a study: a folder for each trial, with its result.
TRIALS, RESULT = "trials", "result.json"
# The objective of the text on which trials measure what they forget.
_OF_REFERENCE = "reference.objective."
logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Trial:
  """One run: the name of its folder, and the settings that identify it.

  Attributes:
    name: name of its folder.
    settings: what identifies it beside what all trials share.
    base: {dotted name: value} that a field has where `settings` lack it; other
      fields then have what trials had before the field existed.
  """

  name: str
  settings: Mapping[str, Any]
  base: Mapping[str, Any] = dataclasses.field(
    default_factory=dict, compare=False
  )


def before_field(name: str) -> Any:
  """Return what fine-tuning had before a field existed (law 10)."""
  head, _, rest = name.partition(".")
  if head == "encoder":
    return before_path(ModelConfig, rest)
  if name.startswith(_OF_REFERENCE):
    return before_path(ObjectiveConfig, name.removeprefix(_OF_REFERENCE))
  return before_path(FinetuneConfig, name)


def trial_folder(folder: pathlib.Path, name: str) -> pathlib.Path:
  """Return the folder of a trial of a study, or of a choice of seeds."""
  return folder / TRIALS / name


class TrialStore:
  """Runs trials that have no result yet, and reads the results of the others.

  Args:
    folder: gets `identity.json` and `trials/NAME/` for each trial.
    identity: JSON-able values that all trials share and that their results
      depend on.
    newer: names of groups or fields of `identity` that folders of earlier
      versions lack. What their trials had is not known, which is logged. A
      name without a dot is lacking only as a whole.
    guard: called before a result is written; raises where the folder is no
      longer this process's.
    gone: names of groups of `identity` that folders of earlier versions have,
      and that are not compared any more.
    before: dotted name of a field of `identity` or of settings → what trials
      had before the field existed.

  Raises:
    ValueError: the folder belongs to another identity (law 10). The message
      names the fields that differ and both values.
  """

  def __init__(
    self,
    folder: str | pathlib.Path,
    identity: Mapping[str, Any],
    newer: Sequence[str] = (),
    guard: Callable[[], None] = lambda: None,
    gone: Sequence[str] = (),
    before: Callable[[str], Any] = before_field,
  ) -> None:
    self.folder = pathlib.Path(folder)
    self.guard = guard
    self._before = before
    path = self.folder / IDENTITY
    if path.is_file():
      saved = json.loads(path.read_bytes())
      saved = {name: saved[name] for name in saved if name not in gone}
      refuse_change(self.folder, saved, identity, before, newer)
    else:
      files.write_json(path, identity, allow_nan=False)

  def path(self, trial: Trial) -> pathlib.Path:
    """Return the folder of a trial."""
    return trial_folder(self.folder, trial.name)

  def result(self, trial: Trial) -> dict[str, Any] | None:
    """Return the result of a finished trial, or None.

    Raises:
      ValueError: the folder has a result of other settings, or of a newer
        version.
    """
    path = self.path(trial) / RESULT
    if not path.is_file():
      return None
    saved = json.loads(path.read_bytes())
    check_version(path, saved)
    refuse_change(
      self.path(trial),
      saved["settings"],
      trial.settings,
      lambda name: (
        trial.base[name] if name in trial.base else self._before(name)
      ),
    )
    return saved["result"]

  def run(self, trial: Trial, run_trial: RunTrial) -> dict[str, Any]:
    """Return the result of a trial, and run the trial if there is none."""
    result = self.result(trial)
    if result is None:
      folder = self.path(trial)
      folder.mkdir(parents=True, exist_ok=True)
      result = dict(run_trial(folder))
      self.guard()
      self._write(trial, result)
    return result

  def _write(self, trial: Trial, result: Mapping[str, Any]) -> None:
    files.write_json(
      self.path(trial) / RESULT,
      {
        "version": VERSION,
        "settings": dict(trial.settings),
        "result": dict(result),
      },
      allow_nan=False,
    )


def refuse_change(
  folder: pathlib.Path,
  old: Mapping[str, Any],
  new: Mapping[str, Any],
  before_: Callable[[str], Any],
  newer: Sequence[str] = (),
) -> None:
  """Refuse a folder whose values are others (law 10).

  Args:
    folder: where the old values were found, for the error.
    old: values as JSON has them.
    new: values now.
    before_: dotted name → what a field was before it existed.
    newer: as in `TrialStore`.

  Raises:
    ValueError: names the folder, the fields that differ, and both values.
  """
  # JSON turns the tuples of a config into lists.
  old = flatten_fields(renamed.current(old))
  new = flatten_fields(json.loads(json.dumps(new)))
  values = {
    name: [
      each[name] if name in each else _listed(before_(name))
      for each in (old, new)
    ]
    for name in dict.fromkeys((*new, *old))
  }
  changes = [
    f"{name}={before!r}, not {after!r}"
    for name, (before, after) in values.items()
    if before != after and not _is_unknown(name, old, newer)
  ]
  unknown = [
    f"{name}={after!r}"
    for name, (before, after) in values.items()
    if before != after and _is_unknown(name, old, newer)
  ]
  if unknown:
    logger.warning(
      "%s does not know what its trials had instead of %s: an earlier version "
      "did not store that, so that trials may differ in it",
      folder,
      ", ".join(unknown),
    )
  if changes:
    more = f"; and {len(changes) - _SHOWN} more" * (len(changes) > _SHOWN)
    raise ValueError(
      f"{folder} was made with {'; '.join(changes[:_SHOWN])}{more}: give "
      "another folder, or the old values"
    )


def _is_unknown(
  name: str, old: Mapping[str, Any], newer: Sequence[str]
) -> bool:
  return name not in old and any(
    f"{name}.".startswith(f"{each}.")
    and ("." in each or not any(f"{o}.".startswith(f"{each}.") for o in old))
    for each in newer
  )


def _listed(value: Any) -> Any:
  """Return a value as JSON has it."""
  return list(value) if isinstance(value, tuple) else value
