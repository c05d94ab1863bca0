# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One run at a time in a workdir.

A lock keeps a second run out as long as the first one lives. It does not reach
everywhere: a mounted bucket has none between hosts, and a host that hangs while
its replacement starts may come back. So each run also writes an id of its own
into the folder, and reads it again before it changes anything. A run that finds
another id ends, and leaves everything to the run that has the folder now. What
it may still write is the checkpoint that it began before: the run that has
taken the folder waits for that one.
"""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import pathlib
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import IO, Any

from bertjax import files
from bertjax.checkpoints import bundle, records
from bertjax.parallel import multihost
from launch.run.origin import CHECKPOINTS

LOCK = ".lock"
OWNER = "owner.json"
# A run that was killed may hold its lock for a moment longer.
_LOCK_SECONDS = 5.0
_POLL_SECONDS = 0.2
# A checkpoint that was not written to for so long is one of a run that is dead.
_QUIET_SECONDS = 5.0
_SAVE_SECONDS = 45.0
# What file systems without locks say.
_NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL))


def check_free(
  flag: str,
  value: str | os.PathLike[str] | None,
  command: str,
  workdir: str | os.PathLike[str] | None = None,
) -> None:
  """Refuse the place of a bundle that something else has written.

  Args:
    flag: name of the flag that `value` was given by, for the error.
    value: None or "" if the flag was not given.
    command: the command that writes `value`, and may replace what it wrote.
    workdir: the run that does so, which may replace its own bundles alone: a
      run that is not begun yet has none.

  Raises:
    ValueError: `value` is the bundle of another command, or of another run.
  """
  if not value or not (pathlib.Path(value) / bundle.RECORD).is_file():
    return
  writer = _writer(pathlib.Path(value))
  if workdir is None and writer == command:
    return
  own = None if workdir is None else pathlib.Path(workdir).resolve()
  # WORKDIR/bundle and WORKDIR/model, or WORKDIR/bundles/step_N
  for run in pathlib.Path(value).resolve().parents[:2]:
    if (run / OWNER).is_file() and run != own:
      raise ValueError(
        f"--{flag}={os.fspath(value)} is what the run in {run} has trained; "
        "give another folder, or delete it first"
      )
  is_begun = own is not None and (
    (own / CHECKPOINTS).is_dir() or (own / OWNER).is_file()
  )
  # Earlier versions did not say who wrote a bundle.
  if not (is_begun and writer in ("", command)):
    run = command if own is None else f"the run in {own}"
    whose = f"of {writer}" if writer else "that does not say who wrote it"
    raise ValueError(
      f"--{flag}={os.fspath(value)} is a bundle {whose}, which {run} does not "
      "replace; give another folder, or delete it first"
    )


def _writer(folder: pathlib.Path) -> str:
  """Return the command that wrote a bundle, or "" if nothing tells."""
  try:
    record = json.loads((folder / bundle.RECORD).read_bytes())
    return str(record["details"].get("written_by", ""))
  except (ValueError, KeyError, TypeError, AttributeError):
    return ""


class TakenOver(ValueError):
  """Another run has the folder now."""


class Ownership:
  """The hold of this run on a workdir; process 0 has it for all processes.

  Make it on all processes of a run. Use it as a context.

  Args:
    folder: the workdir; exists.

  Raises:
    ValueError: a run that lives holds the folder.
  """

  def __init__(self, folder: pathlib.Path) -> None:
    self._folder = folder
    self._id = ""
    self._lock: IO[str] | None = None
    multihost.broadcast_from_first("lock", self._acquire)

  def __enter__(self) -> "Ownership":
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  def __getstate__(self) -> dict[str, Any]:
    """Return what another process of this run checks; it holds no lock."""
    return {**vars(self), "_lock": None}

  def take(self) -> None:
    """Write the id of this run; from now on `check` finds other runs."""
    multihost.broadcast_from_first("owner", self._write)

  def wait_for_save(self, checkpoints: pathlib.Path) -> bool:
    """Wait until the run before this one writes no checkpoint any more.

    Call it after `take`, from which on the other begins no new one.

    Args:
      checkpoints: folder of the checkpoints.

    Returns:
      Whether there was something to wait for.

    Raises:
      TimeoutError: the other is still writing.
    """
    return multihost.broadcast_from_first(
      "save of the run before", lambda: self._wait(checkpoints)
    )

  def check(self) -> None:
    """Check on all processes that no other run has taken the folder.

    Raises:
      TakenOver: another run has; on process 0, and a `ValueError` elsewhere.
    """
    multihost.broadcast_from_first("owner checked", self.check_alone)

  def check_alone(self) -> None:
    """Do as `check` on process 0, without the other processes.

    Raises:
      TakenOver: another run has taken the folder.
    """
    if not self._id:
      return
    found = read_owner(self._folder)
    if found.get("id") != self._id:
      raise TakenOver(
        f"another run took {self._folder} over ({_describe(found)}); this one "
        "ends, and what it had not saved yet is lost; look whether two runs "
        "have this --workdir"
      )

  def close(self) -> None:
    """Release the lock."""
    if self._lock is not None:
      self._lock.close()
      self._lock = None

  def _acquire(self) -> None:
    self._lock = _locked(self._folder)

  def _wait(self, checkpoints: pathlib.Path) -> bool:
    # Both times are by the file system's clock.
    newest = records.newest_write(checkpoints)
    age = (self._folder / OWNER).stat().st_mtime - newest
    began = time.monotonic()
    seen, since = newest, began - max(0.0, age)
    waits = False
    while newest and time.monotonic() - since < _QUIET_SECONDS:
      waits = True
      if time.monotonic() - began > _SAVE_SECONDS:
        raise TimeoutError(
          f"another run still writes a checkpoint in {checkpoints}; wait until "
          "it ends, and run the same command again"
        )
      time.sleep(_POLL_SECONDS)
      newest = records.newest_write(checkpoints)
      if newest != seen:
        seen, since = newest, time.monotonic()
    return waits

  def _write(self) -> None:
    self._id = uuid.uuid4().hex
    owner = {
      "id": self._id,
      "host": socket.gethostname(),
      "pid": os.getpid(),
      "since": datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"),
    }
    files.write_json(self._folder / OWNER, owner)


def is_held(folder: pathlib.Path) -> bool:
  """Return whether a run that lives holds the lock of a workdir."""
  if not (folder / LOCK).exists():
    return False
  try:
    _locked(folder, seconds=0).close()
  except ValueError:
    return True
  return False


def read_owner(folder: pathlib.Path) -> dict[str, Any]:
  """Return id, host, pid and start of the last run in a workdir, or {}."""
  with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
    return json.loads((folder / OWNER).read_bytes())
  return {}


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[Ownership]:
  """Hold a folder that one process works in, and write its id there.

  Raises:
    ValueError: a run that lives holds it.
  """
  folder.mkdir(parents=True, exist_ok=True)
  with Ownership(folder) as owner:
    owner.take()
    yield owner


def _locked(folder: pathlib.Path, seconds: float = _LOCK_SECONDS) -> IO[str]:
  """Return the open lock file, locked where the file system has locks."""
  lock = (folder / LOCK).open("a", encoding="utf-8")
  deadline = time.monotonic() + seconds
  while True:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      return lock
    except BlockingIOError:
      if time.monotonic() >= deadline:
        lock.close()
        raise ValueError(
          f"{folder} is in use by another run "
          f"({_describe(read_owner(folder))}); end that one or wait for it, or "
          "give another --workdir"
        ) from None
      time.sleep(_POLL_SECONDS)
    except OSError as error:
      if error.errno in _NO_LOCKS:
        return lock
      lock.close()
      raise


def _describe(owner: Mapping[str, Any]) -> str:
  if not owner:
    return f"no {OWNER} says which"
  return f"pid {owner['pid']} on {owner['host']}, since {owner['since']}"
