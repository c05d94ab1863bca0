# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that are committed, digested and verified.

The folder of a step has the items `params`, `opt_state` and `record`. The
record is JSON under a sha256, and has the digest of every leaf (law 8). No
other module imports Orbax.
"""

import logging
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as managers
from orbax.checkpoint import options as ocp_options

from bertjax.checkpoints import digest, records
from bertjax.checkpoints.late_answers import drop_late_answers
from bertjax.checkpoints.write_errors import writing
from bertjax.config import CheckpointConfig
from bertjax.model.parameters import by_name, leaf_name
from bertjax.parallel import multihost, shared_folder
from bertjax.train.state import TrainState

logger = logging.getLogger(__name__)

_COMMIT = ocp_options.AtomicityOptions(
  mode=ocp_options.AtomicityMode.COMMIT_FILE
)
UNREADABLE = "unreadable"


class Restored(NamedTuple):
  """A verified checkpoint: the state, and the record saved with it."""

  state: TrainState
  record: dict[str, Any]


class Checkpoints:
  """The checkpoints of one run, saved while training goes on.

  Args:
    folder: made if it does not exist, unless `read_only`.
    config: how many checkpoints are kept.
    read_only: change nothing; safe beside a run that is writing.
  """

  def __init__(
    self,
    folder: str | os.PathLike[str],
    config: CheckpointConfig,
    *,
    read_only: bool = False,
  ) -> None:
    self._folder = pathlib.Path(folder).absolute()
    self._config = config
    self._read_only = read_only
    self._manager = self._open()

  def _open(self) -> ocp.CheckpointManager:
    keep: list[Any] = [managers.LatestN(self._config.keep_last)]
    if self._config.keep_every_steps:
      keep.append(managers.EveryNSteps(self._config.keep_every_steps))
    manager = ocp.CheckpointManager(
      self._folder,
      options=ocp.CheckpointManagerOptions(
        preservation_policy=managers.AnyPreservationPolicy(keep),
        atomicity_options=_COMMIT,
        enable_async_checkpointing=True,
        read_only=self._read_only,
        create=not self._read_only,
      ),
    )
    shared_folder.wait_for_same_listing(
      self._folder, manager.all_steps, manager.reload
    )
    return manager

  def steps(self) -> list[int]:
    """Return the committed steps, ascending."""
    return sorted(self._manager.all_steps())

  def save(
    self, state: TrainState, step: int, record: Mapping[str, Any]
  ) -> None:
    """Start saving, and return when the arrays are copied to the host.

    Args:
      state: may be donated as soon as this returns.
      step: larger than every saved step.
      record: JSON-able values to return with the state.

    Raises:
      OSError: Orbax refused this step, or this save or the one before failed.
    """
    items = _items(state)
    leaves = {name: digest.describe(tree) for name, tree in items.items()}
    sealed = digest.seal({"step": step, "leaves": leaves, "run": dict(record)})
    with writing(self._folder, self._advice):
      saved = self._manager.save(
        step,
        args=ocp.args.Composite(
          record=ocp.args.JsonSave(sealed),
          **{name: ocp.args.StandardSave(tree) for name, tree in items.items()},
        ),
      )
    if not saved:
      raise OSError(
        f"step {step} was not saved; {self._folder} has {self.steps()}"
      )

  def restore(self, abstract: TrainState) -> Restored | None:
    """Return the newest checkpoint that verifies, or None without any.

    Damaged checkpoints that are newer are moved to `unreadable/`, and the log
    says why.

    Args:
      abstract: the shapes, dtypes and shardings to restore into.

    Raises:
      ValueError: the state has other leaves than the checkpoint, or there are
        checkpoints and none of them verifies; nothing is moved then.
      OSError: the storage failed, which says nothing of the checkpoint.
    """
    damaged: dict[int, str] = {}
    for step in reversed(self.steps()):
      try:
        restored = self._restore(step, abstract)
      except digest.Damaged as error:
        logger.warning("checkpoint %d is damaged: %s", step, error)
        damaged[step] = str(error)
        continue
      if damaged:
        self._set_aside(damaged)
        logger.warning(
          "restoring step %d instead; moved steps %s to %s",
          step,
          sorted(damaged),
          self._folder / UNREADABLE,
        )
      return restored
    if damaged:
      reasons = "; ".join(f"step {step}: {damaged[step]}" for step in damaged)
      raise ValueError(
        f"all checkpoints in {self._folder} are damaged ({reasons}); nothing "
        "was changed there: copy them from a backup, or give another --workdir "
        "to start from scratch"
      )
    return None

  def close(self) -> None:
    """Wait until everything is committed, and stop the threads.

    Raises:
      OSError: the last save failed.
    """
    with writing(self._folder, self._advice):
      self._manager.wait_until_finished()
      self._manager.close()

  def _advice(self) -> str:
    steps = records.committed_steps(self._folder)
    newest = f"step {steps[-1]}" if steps else "the start"
    return f"mend that, and run the same command again to go on from {newest}"

  def read_params(
    self, step: int | None = None
  ) -> tuple[int, Any, dict[str, Any]]:
    """Return (step, parameters on one device, record) of a committed step.

    Args:
      step: the step to read; None takes the newest that verifies.

    Raises:
      ValueError: there is no such step, or it is damaged.
    """
    steps = self.steps()
    wanted = steps if step is None else [step] if step in steps else []
    reasons = []
    for candidate in reversed(wanted):
      try:
        sealed = self._sealed(candidate)
        params = digest.abstract(sealed["leaves"]["params"])
        read = self._read(candidate, {"params": params}, sealed)
      except digest.Damaged as error:
        logger.warning("checkpoint %d is damaged: %s", candidate, error)
        reasons.append(f"step {candidate}: {error}")
      else:
        return candidate, read["params"], sealed["run"]
    why = f" ({'; '.join(reasons)})" if reasons else ""
    raise ValueError(
      f"{self._folder} has no undamaged checkpoint"
      f"{'' if step is None else f' of step {step}'}; it has steps {steps}{why}"
    )

  def _sealed(self, step: int) -> dict[str, Any]:
    """Return the record of a step on all processes, or fail on all."""
    return multihost.run_on_all(
      records.RECORD,
      lambda: records.read_sealed(self._folder, step),
      error=digest.Damaged,
    )

  def _read(
    self, step: int, wanted: Mapping[str, Any], sealed: Mapping[str, Any]
  ) -> dict[str, Any]:
    read = {
      name: _restored(self._folder / str(step) / name, tree)
      for name, tree in wanted.items()
    }
    for name, tree in read.items():
      digest.verify(tree, sealed["leaves"][name])
    return read

  def _restore(self, step: int, abstract: TrainState) -> Restored:
    sealed = self._sealed(step)
    wanted = _items(abstract)
    digest.check_leaves(wanted, digest.flat(sealed["leaves"]))
    read = self._read(step, wanted, sealed)
    leaves = by_name(read.get("opt_state", {}))
    return Restored(
      TrainState(
        step=jax.device_put(
          np.asarray(sealed["step"], np.int32), abstract.step.sharding
        ),
        params=read["params"],
        opt_state=jax.tree.map_with_path(
          lambda path, _: leaves[leaf_name(path)], abstract.opt_state
        ),
      ),
      sealed["run"],
    )

  def _set_aside(self, steps: Mapping[int, str]) -> None:
    # Moved to where Orbax does not look: it would keep them as the newest
    # checkpoints, and refuse to save the same steps again. Not deleted, because
    # the fault may be a passing one of the file system.
    self._manager.close()

    def move() -> None:
      for step in steps:
        target = self._folder / UNREADABLE / str(step)
        target.parent.mkdir(exist_ok=True)
        while target.exists():
          target = target.with_name(target.name + "~")
        (self._folder / str(step)).rename(target)

    multihost.broadcast_from_first("damaged checkpoints", move)
    self._manager = self._open()


def write_tree(folder: str | os.PathLike[str], tree: Any) -> dict[str, Any]:
  """Write nested dicts of arrays; return their digests, for `read_tree`."""
  leaves = digest.describe(tree)
  with (
    writing(
      pathlib.Path(folder), lambda: "mend that, and run the same command again"
    ),
    ocp.StandardCheckpointer() as checkpointer,
  ):
    checkpointer.save(pathlib.Path(folder).absolute(), tree)
    checkpointer.wait_until_finished()
  return leaves


def read_tree(
  folder: str | os.PathLike[str],
  leaves: Mapping[str, Any],
  shardings: Mapping[str, jax.sharding.Sharding] | None = None,
) -> Any:
  """Read a tree that `write_tree` wrote, and verify it.

  Args:
    folder: the folder that was written.
    leaves: the result of `write_tree`.
    shardings: {name: sharding}; other leaves go to the first device, whatever
      mesh they were written from.

  Raises:
    ValueError: an array does not match its digest.
  """
  path = pathlib.Path(folder).absolute()
  try:
    tree = _restored(path, digest.abstract(leaves, shardings))
    digest.verify(tree, leaves)
  except digest.Damaged as error:
    raise ValueError(f"{path} is damaged: {error}") from error
  return tree


def _restored(path: pathlib.Path, wanted: Any) -> Any:
  """Read the arrays of an item on all processes, or fail on all.

  Each process reads the shards of its devices without Orbax's barriers: if one
  process failed between two barriers, the others would wait for it forever.
  """
  number = jax.process_index()
  alone = ocp_options.MultiprocessingOptions(
    primary_host=number,
    active_processes={number},
    barrier_sync_key_prefix=f"process{number}",
  )

  def read() -> Any:
    with (
      digest.reading(),
      ocp.Checkpointer(
        ocp.StandardCheckpointHandler(multiprocessing_options=alone),
        multiprocessing_options=alone,
      ) as checkpointer,
    ):
      return checkpointer.restore(path, args=ocp.args.StandardRestore(wanted))

  drop_late_answers()
  return multihost.run_on_all(path.name, read, error=digest.Damaged)


def _items(state: TrainState) -> dict[str, Any]:
  """Return the items of a checkpoint, as nested dicts.

  The leaves of the optimizer state are named by their path, so that a
  checkpoint does not depend on the classes in it. An item without leaves is
  left out, because Orbax refuses it.
  """
  opt_state = digest.nest(by_name(state.opt_state))
  items = {"params": state.params, "opt_state": opt_state}
  return {name: tree for name, tree in items.items() if tree}
