# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are written row by row, and go on after a kill.

Rows go to `OUTPUT.partial`, which is renamed at the end. `OUTPUT.run.json` says
of which input and model they are, and how many of them are certain: what a
killed process wrote after that is written again.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self

from bertjax import files

_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Rows(Protocol):
  """A file of rows that is being written."""

  def write(self, results: Any) -> None:
    """Write the results of the next rows."""

  def sync(self) -> int:
    """Have everything on the disk; return how far it goes."""
    ...

  def close(self) -> None:
    """Close the file."""


@dataclasses.dataclass
class Journal:
  """What is certain of an output.

  Attributes:
    identity: input, model and options that determine every row.
    read: rows of the input that are done, those left out among them.
    written: rows of the output.
    extent: how far the file goes, as `Rows.sync` returns it.
    counts: sums over the rows that are done.
    done: whether the output is complete.
  """

  identity: Mapping[str, Any]
  read: int = 0
  written: int = 0
  extent: int = 0
  counts: dict[str, int] = dataclasses.field(default_factory=dict)
  done: bool = False

  @classmethod
  def from_file(cls, path: pathlib.Path) -> Self | None:
    """Read a journal; None if there is none.

    Raises:
      ValueError: it is no journal of this version.
    """
    if not path.is_file():
      return None
    try:
      saved = json.loads(path.read_text(encoding="utf-8"))
      if saved.pop("version") == _VERSION:
        return cls(**saved)
    except (ValueError, KeyError, TypeError, AttributeError):
      pass
    raise ValueError(
      f"{path} is not of this version of bertjax; delete it, and the output "
      "beside it, or give another --output"
    )

  def write(self, path: pathlib.Path) -> None:
    """Replace the file at `path`."""
    files.write_json(path, {"version": _VERSION, **dataclasses.asdict(self)})


@dataclasses.dataclass(frozen=True)
class Output:
  """A file to be made.

  Attributes:
    path: its path.
    identity: what determines its rows; None if the input can be read only once,
      so that nothing can be resumed.
  """

  path: pathlib.Path
  identity: Mapping[str, Any] | None

  @property
  def partial(self) -> pathlib.Path:
    """The file while it is not complete."""
    return self.path.with_name(self.path.name + ".partial")

  @property
  def complete(self) -> pathlib.Path:
    """The file in its final format, where rows are collected in another one."""
    return self.path.with_name(self.path.name + ".complete")

  @property
  def journal(self) -> pathlib.Path:
    """What is certain of it."""
    return self.path.with_name(self.path.name + ".run.json")

  def begin(self, *, is_new: bool = False) -> Journal:
    """Return what is done, or an empty journal.

    The process holds `partial`, so that no other process writes the journal.

    Args:
      is_new: whether `partial` was made for that, so that it has no rows.

    Raises:
      ValueError: the output exists and is of another input, model or option, or
        nothing says what it is of.
    """
    if self.path.is_dir():
      raise ValueError(f"{self.path} is a folder; give the path of a file")
    journal = Journal.from_file(self.journal)
    if self.path.exists() and not (journal and journal.done and self.identity):
      raise ValueError(
        f"{self.path} exists, and nothing says that it is of this input; give "
        "another --output, or delete it"
      )
    if self.identity is None:
      # What is written now is not what a journal of an earlier run tells of.
      self.journal.unlink(missing_ok=True)
    if self.identity is None or journal is None:
      return Journal(dict(self.identity or {}))
    if not self.path.exists() and (is_new or not self.partial.exists()):
      return Journal(dict(self.identity))  # somebody took the rows away
    self._check(journal)
    if journal.done:
      self._name()  # killed before that
    return journal

  def _check(self, journal: Journal) -> None:
    assert self.identity is not None
    names = dict.fromkeys((*journal.identity, *self.identity))
    for name in names:
      old, new = journal.identity.get(name), self.identity.get(name)
      if old != new:
        there = self.path if self.path.exists() else self.partial
        raise ValueError(
          f"{there} is of another {name.replace('_', ' ')} "
          f"({shorten_hash(old)} there, {shorten_hash(new)} now); give another "
          f"--output, or delete it and {self.journal}"
        )

  def commit(self, journal: Journal, rows: Rows) -> None:
    """Make certain what has been written."""
    journal.extent = rows.sync()
    if self.identity is not None:
      journal.write(self.journal)

  def finish(self, journal: Journal) -> None:
    """Give the file its name."""
    if self.identity is not None:
      journal.done = True
      journal.write(self.journal)
    self._name()

  def _name(self) -> None:
    for made in (self.complete, self.partial):
      if made.exists() and not self.path.exists():
        made.rename(self.path)
    self.partial.unlink(missing_ok=True)


def shorten_hash(value: Any) -> str:
  """Return a value for a message, of a SHA-256 its beginning."""
  text = str(value)
  return text[:12] if _SHA256.fullmatch(text) else text


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[bool]:
  """Hold a file for this process; yield whether the file is new.

  A new one that nothing is written to is deleted.

  Raises:
    OSError: it cannot be written.
    ValueError: another process holds it.
  """
  with writing(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, is_new = _open_locked(path)
  try:
    yield is_new
  finally:
    is_empty = _is_at(descriptor, path) and not os.fstat(descriptor).st_size
    if is_new and is_empty:
      path.unlink()
    os.close(descriptor)


def _open_locked(path: pathlib.Path) -> tuple[int, bool]:
  while True:
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
      os.close(descriptor)
      raise ValueError(
        f"another process is writing {path}; wait for it, or give another "
        "--output"
      ) from None
    if _is_at(descriptor, path):
      return descriptor, is_new
    os.close(descriptor)  # another process has just renamed or deleted it


def _is_at(descriptor: int, path: pathlib.Path) -> bool:
  """Return whether an open file is the one at a path."""
  try:
    return os.path.samestat(os.fstat(descriptor), path.stat())
  except FileNotFoundError:
    return False


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
  """Name the file that cannot be written, and what to do.

  Raises:
    OSError: there is no room for it, or no permission.
  """
  try:
    yield
  except OSError as error:
    if error.errno is None:
      raise  # its message is this project's own, with file and fix
    fix = "give another --output"
    if error.errno in files.NO_ROOM:
      fix = "make room, and run the same command again to continue"
    reason = os.strerror(error.errno)
    raise OSError(f"cannot write {path}: {reason}; {fix}") from error


class JsonLines:
  """A file with an object on each line.

  Args:
    path: the file.
    extent: bytes of it to keep.
  """

  def __init__(self, path: pathlib.Path, extent: int) -> None:
    if path.stat().st_size < extent:
      raise ValueError(
        f"{path} has {path.stat().st_size:,} bytes, and {extent:,} were "
        "written; delete it, to begin anew"
      )
    self._stream = path.open("r+b")
    self._stream.truncate(extent)
    self._stream.seek(extent)

  def write(self, results: list[Mapping[str, Any]]) -> None:
    """Write a line for each result."""
    self._stream.write("".join(map(to_line, results)).encode())

  def sync(self) -> int:
    """Have everything on the disk; return the number of bytes."""
    self._stream.flush()
    os.fsync(self._stream.fileno())
    return self._stream.tell()

  def close(self) -> None:
    """Close the file."""
    self._stream.close()


def to_line(result: Mapping[str, Any]) -> str:
  """Return a line of JSON."""
  return json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n"
