# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Trials whose results lie on disk, so that none is run twice.

A sweep and the choice of a learning rate are both a list of trials. Each has
a folder, and its `result.json` appears in one piece when the trial is done.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from bertjax.config import renamed

# Folder of the trial → what it gave, JSON-able.
RunTrial = Callable[[pathlib.Path], Mapping[str, Any]]

# Fields that a refusal names.
_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Trial:
  """One run: the name of its folder, and what makes it this trial."""

  name: str
  settings: Mapping[str, Any]


class Ledger:
  """Runs trials that have no result yet, and returns the others' results.

  Args:
    folder: gets `identity.json` and a folder a trial under `trials/`.
    identity: what all trials share and what their results depend on,
      JSON-able.

  Raises:
    ValueError: the folder belongs to another identity (law 10); the
      fields that differ are named, with both values.
  """

  def __init__(
    self, folder: str | pathlib.Path, identity: Mapping[str, Any]
  ) -> None:
    self.folder = pathlib.Path(folder)
    path = self.folder / "identity.json"
    if path.is_file():
      _refuse_change(self.folder, json.loads(path.read_text()), identity)
    else:
      write_json(path, identity)

  def path(self, trial: Trial) -> pathlib.Path:
    """Folder of a trial."""
    return self.folder / "trials" / trial.name

  def result(self, trial: Trial) -> dict[str, Any] | None:
    """Return the result of a finished trial, None of any other.

    Raises:
      ValueError: a trial of that name was finished with other settings.
    """
    path = self.path(trial) / "result.json"
    if not path.is_file():
      return None
    saved = json.loads(path.read_text())
    _refuse_change(self.path(trial), saved["settings"], trial.settings)
    return saved["result"]

  def run(self, trial: Trial, run_trial: RunTrial) -> dict[str, Any]:
    """Return the trial's result, running it if it has none."""
    result = self.result(trial)
    if result is None:
      folder = self.path(trial)
      folder.mkdir(parents=True, exist_ok=True)
      result = dict(run_trial(folder))
      write_json(
        folder / "result.json",
        {"settings": dict(trial.settings), "result": result},
      )
    return result


def write_json(path: pathlib.Path, value: Any) -> None:
  """Write `value` so that the file is whole or not there."""
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(path.name + ".partial")
  partial.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")
  os.replace(partial, path)


def _refuse_change(
  folder: pathlib.Path, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
  # What comes from a file has lists where a config has tuples.
  old, new = _flat(renamed.current(old)), _flat(json.loads(json.dumps(new)))
  changes = [
    f"{name}={old.get(name)!r}, not {new.get(name)!r}"
    for name in dict.fromkeys((*new, *old))
    if old.get(name) != new.get(name)
  ]
  if changes:
    more = f"; and {len(changes) - _SHOWN} more" * (len(changes) > _SHOWN)
    raise ValueError(
      f"{folder} was made with {'; '.join(changes[:_SHOWN])}{more}: give "
      "another folder, or the old values"
    )


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  flat: dict[str, Any] = {}
  for name, value in mapping.items():
    if isinstance(value, Mapping):
      flat |= _flat(value, f"{prefix}{name}.")
    else:
      flat[prefix + name] = value
  return flat
