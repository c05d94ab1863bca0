# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The state of a trial that is not done, so that a rerun goes on from there."""

import dataclasses
import logging
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bertjax.checkpoints.checkpoint import Checkpoints, read_tree, write_tree
from bertjax.config import CheckpointConfig
from bertjax.files import first_line
from bertjax.model.parameters import by_name
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
_BEST = "best"
_KEEP_LAST = 2
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


def _make_room(folder: pathlib.Path) -> None:
  """Delete what a killed process left at `folder`, and what nothing names."""
  shutil.rmtree(folder, ignore_errors=True)
  folder.parent.mkdir(parents=True, exist_ok=True)
  names = [path.name for path in folder.parent.iterdir()]
  steps = sorted(int(name) for name in names if name.isdigit())
  # Each checkpoint that is kept may name another one.
  for step in steps[:-_KEEP_LAST]:
    shutil.rmtree(folder.with_name(str(step)), ignore_errors=True)


class Stopped(Exception):
  """A signal stopped a trial, whose state is saved if it has done a step.

  Args:
    step: number of steps that are done.
    steps: number of steps of the trial.
  """

  def __init__(self, step: int, steps: int) -> None:
    super().__init__(
      f"stopped at step {step} of {steps}, which is saved"
      if step
      else "stopped before the first step, and nothing of this trial is saved"
    )


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

  The best parameters have a folder of their own, which the checkpoints name:
  they are written where they have changed, and not with every state.

  Args:
    session: where and when to save.
    every_steps: how often it saves; 0 only saves where a signal asks to stop.
    hooks: hooks whose snapshots are saved.
    best: state → the step of the best parameters so far, and these; 0 and
      anything where none are.
  """

  def __init__(
    self,
    session: Session,
    every_steps: int,
    hooks: Sequence[Hook],
    best: Callable[[TrainState], tuple[int, Any]],
  ) -> None:
    self._session = session
    self._folder = session.folder and session.folder / _FOLDER
    self._every_steps = every_steps
    self._hooks = hooks
    self._best = best
    self._checkpoints: Checkpoints | None = None
    self._saved = 0
    # Step and digests of the best parameters that were written last.
    self._kept: dict[str, Any] = {}

  def restore_trial(
    self, abstract: TrainState, best: Any
  ) -> tuple[TrainState, Any] | None:
    """Return the saved state and the best parameters; None without any.

    The best parameters are None if there were none at that state.

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
    restored = self._open().restore(abstract)
    if restored is None:
      return None
    state, record = restored
    if record["settings"] != dict(self._session.settings):
      raise ValueError(
        f"{self._folder} is of {record['settings']}, not of "
        f"{dict(self._session.settings)}"
      )
    kept, params = record["best"], None
    if kept:
      shardings = {n: leaf.sharding for n, leaf in by_name(best).items()}
      folder = self._best_folder(kept["step"])
      params = read_tree(folder, kept["leaves"], shardings)
    # Only now, because what cannot be read leaves a trial that begins anew.
    restore_snapshots(self._hooks, record["hooks"])
    self._saved, self._kept = record["step"], kept
    return state, params

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
    self._save_best(*self._best(state))
    record = {
      "step": info.step,
      "settings": dict(self._session.settings),
      "hooks": take_snapshots(self._hooks),
      "best": self._kept,
    }
    self._open().save(state, info.step, record)
    self._saved = info.step

  def _save_best(self, step: int, best: Any) -> None:
    """Write the best parameters if they are others than those before."""
    if not step or step == self._kept.get("step"):
      return
    folder = self._best_folder(step)
    multihost.broadcast_from_first("best", lambda: _make_room(folder))
    self._kept = {"step": step, "leaves": write_tree(folder, best)}

  def _best_folder(self, step: int) -> pathlib.Path:
    assert self._folder is not None  # nothing is saved otherwise
    return self._folder / _BEST / str(step)

  def close(self) -> None:
    """Wait until everything is saved."""
    if self._checkpoints is not None:
      self._checkpoints.close()
      self._checkpoints = None

  def _open(self) -> Checkpoints:
    if self._checkpoints is None:
      assert self._folder is not None  # nothing is saved otherwise
      self._checkpoints = Checkpoints(
        self._folder, CheckpointConfig(keep_last=_KEEP_LAST)
      )
    return self._checkpoints
