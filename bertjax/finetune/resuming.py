# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The state of a trial that is not done, so that a rerun goes on from there."""

import dataclasses
import logging
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bertjax.checkpoints.checkpoint import Checkpoints
from bertjax.config import CheckpointConfig
from bertjax.files import first_line
from bertjax.parallel import multihost
from bertjax.train.hooks import (
  Hook,
  StepInfo,
  restore_snapshots,
  take_snapshots,
)
from bertjax.train.state import TrainState

_FOLDER = "checkpoints"
_OLD = "checkpoints.old"
logger = logging.getLogger(__name__)


def delete_checkpoints(folder: pathlib.Path) -> None:
  """Delete what was saved of a trial; half of it is never left in its place.

  Process 0 does so for all processes of a run.
  """
  multihost.broadcast_from_first("deleted", lambda: _delete(folder))


def _delete(folder: pathlib.Path) -> None:
  old = folder / _OLD
  shutil.rmtree(old, ignore_errors=True)
  if (folder / _FOLDER).is_dir():
    (folder / _FOLDER).rename(old)
    shutil.rmtree(old, ignore_errors=True)


class Stopped(Exception):
  """A signal stopped a trial, whose state is saved.

  Args:
    step: number of steps that are done.
    steps: number of steps of the trial.
  """

  def __init__(self, step: int, steps: int) -> None:
    super().__init__(f"stopped at step {step} of {steps}")


@dataclasses.dataclass(frozen=True)
class Session:
  """Where a trial is saved, and what stops it.

  Attributes:
    folder: folder of the trial; None saves nothing.
    settings: what makes the trial another one than its neighbors, JSON-able.
    stop: whether a signal asks to stop.
    guard: called before anything is written; raises where the folder is no
      longer this process's.
  """

  folder: pathlib.Path | None = None
  settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  stop: Callable[[], bool] = lambda: False
  guard: Callable[[], None] = lambda: None


class SaveTrial(Hook):
  """Saves the state, the best parameters and what other hooks have found.

  Args:
    session: where and when to save.
    every_steps: how often it saves; 0 only saves where a signal asks to stop.
    hooks: hooks whose snapshots are saved.
    best: state → the best parameters so far, or what stands in for them.
  """

  def __init__(
    self,
    session: Session,
    every_steps: int,
    hooks: Sequence[Hook],
    best: Callable[[TrainState], Any],
  ) -> None:
    self._session = session
    self._folder = session.folder and session.folder / _FOLDER
    self._every_steps = every_steps
    self._hooks = hooks
    self._best = best
    self._checkpoints: Checkpoints | None = None
    self._saved = 0

  def restore_trial(
    self, abstract: TrainState, best: Any
  ) -> tuple[TrainState, Any] | None:
    """Return the saved state and what `best` gave for it; None without any.

    What cannot be read is of no use, because a trial is a pure function: that
    is logged.

    Args:
      abstract: shapes and shardings of the state.
      best: shapes and shardings of the best parameters.
    """
    folder = self._folder
    if folder is None or not multihost.broadcast_from_first(
      "saved", folder.is_dir
    ):
      return None
    try:
      restored = self._restore(abstract, best)
    except ValueError as error:
      logger.warning("%s; the trial begins anew", first_line(error))
      restored = None
    if restored is None:
      # What is of no use would be taken for checkpoints of the new beginning.
      self.close()
      delete_checkpoints(folder.parent)
    return restored

  def _restore(
    self, abstract: TrainState, best: Any
  ) -> tuple[TrainState, Any] | None:
    wanted = TrainState(
      abstract.step,
      abstract.params,
      {"opt_state": abstract.opt_state, "best": best},
    )
    restored = self._open().restore(wanted)
    if restored is None:
      return None
    state, record = restored
    if record["settings"] != dict(self._session.settings):
      raise ValueError(
        f"{self._folder} is of {record['settings']}, not of "
        f"{dict(self._session.settings)}"
      )
    self._saved = record["step"]
    restore_snapshots(self._hooks, record["hooks"])
    found = state.opt_state
    return (
      TrainState(state.step, state.params, found["opt_state"]),
      found["best"],
    )

  def wants(self, info: StepInfo) -> bool:
    """Return whether this step is to be saved."""
    every = self._every_steps
    is_due = every > 0 and info.step > 0 and info.step % every == 0
    # A run may end early because its scores no longer rise.
    is_asked = info.stopping and self._session.stop()
    if self._folder is None or info.finished or info.step <= self._saved:
      return False
    return is_due or is_asked

  def after_hooks(self, state: TrainState, info: StepInfo) -> None:
    """Save this step, with what the other hooks have found at it."""
    if not self.wants(info):
      return
    self._session.guard()
    saved = {"opt_state": state.opt_state, "best": self._best(state)}
    record = {
      "step": info.step,
      "settings": dict(self._session.settings),
      "hooks": take_snapshots(self._hooks),
    }
    self._open().save(
      TrainState(state.step, state.params, saved), info.step, record
    )
    self._saved = info.step

  def close(self) -> None:
    """Wait until everything is saved."""
    if self._checkpoints is not None:
      self._checkpoints.close()
      self._checkpoints = None

  def _open(self) -> Checkpoints:
    if self._checkpoints is None:
      assert self._folder is not None  # nothing is saved otherwise
      self._checkpoints = Checkpoints(
        self._folder, CheckpointConfig(keep_last=2)
      )
    return self._checkpoints
