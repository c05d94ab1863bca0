# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""OUTPUT.partial, the folder in which a store is made.

lock          held by the run that works here
journal.json  the recipe, and the sizes up to which the spool is on disk
tokenizer/    the tokenizer, as soon as it is known
letters.json  what it does to the letters of the corpus
spool/        encoded documents in buckets
store/        the store, which is renamed to OUTPUT once it has a manifest
"""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import IO, Any

from bertjax import files
from data_pipelines.corpora.filesystems import ReadError
from data_pipelines.prepare.code_versions import code_versions
from data_pipelines.store.layout import MANIFEST, VERSION
from data_pipelines.store.manifest import commit, read_manifest

_LOCK = "lock"


def is_made(
  output: str, folder: pathlib.Path, recipe: Mapping[str, Any]
) -> bool:
  """Return whether the store of `recipe` exists already.

  Args:
    output: where the store goes, as the user gave it.
    folder: where the store goes on this machine.
    recipe: everything that determines the bytes of the store.

  Raises:
    ValueError: another store, or something that is no store, is there.
  """
  if (folder / MANIFEST).is_file():
    try:
      manifest = read_manifest(folder)[0]
    except ValueError as error:
      raise ValueError(
        f"{output} is not empty and not a store ({error}); remove it, or give "
        "another output"
      ) from None
    known = manifest.recipe
    if manifest.version < VERSION:
      raise ValueError(
        f"{output} has a store of format version {manifest.version}, which "
        "cut and split text in another way; it can be trained on as it is. To "
        "prepare the text anew, give another output, or remove it"
      )
    if known != recipe:
      raise ValueError(
        f"{output} has a store {_difference(known, recipe)}; give another "
        "output, or remove it"
      )
    return True
  if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
    raise ValueError(f"{output} exists and is not a store; give another output")
  return False


def _difference(known: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
  for field in (*recipe, *known):
    if known.get(field) != recipe.get(field):
      old, new = (json.dumps(side.get(field)) for side in (known, recipe))
      return f"with {field} {old}, not {new}"
  return "from another recipe"


def remove_leftovers(output: pathlib.Path, recipe: Mapping[str, Any]) -> None:
  """Delete the work of a run that was killed when its store was in place."""
  work = Workspace(output, recipe, restart=True)
  # A ValueError: the run lives, and deletes it itself.
  with contextlib.suppress(ValueError):
    if work.path.is_dir():
      with work:
        pass


class Workspace:
  """A context in which a store is made.

  Bad input (a `ValueError`) leaves nothing behind. After any other error or a
  kill the next run continues the work.

  Attributes:
    path: the folder, OUTPUT.partial.
    resumed: whether the run continues an earlier one from its journal.
    parts: JSON values of the journal, by part of the corpus; call `save` after
      a change.
  """

  def __init__(
    self, output: pathlib.Path, recipe: Mapping[str, Any], *, restart: bool
  ) -> None:
    """Prepare to make `output` by `recipe`; `restart` ignores a journal."""
    self._output = output
    self._recipe = dict(recipe)
    self._restart = restart
    self.path = output.with_name(output.name + ".partial")
    self.resumed = False
    self.parts: dict[str, Any] = {}
    self._lock: IO[str] | None = None

  @property
  def _journal(self) -> pathlib.Path:
    return self.path / "journal.json"

  def __enter__(self) -> "Workspace":
    """Lock the folder and read its journal.

    Raises:
      ValueError: another run works in it, or began it with another recipe or
        other code.
    """
    self._lock = self._open_lock()
    try:
      fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      while not self._is_current(self._lock):
        # The run that held it has ended and removed the folder.
        self._lock.close()
        self._lock = self._open_lock()
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      self._resume()
    except BlockingIOError:
      self._lock.close()
      raise ValueError(
        f"{self.path} is being written by another run; wait for it"
      ) from None
    except ValueError:
      self._lock.close()
      raise
    return self

  def _open_lock(self) -> IO[str]:
    self.path.mkdir(parents=True, exist_ok=True)
    if not (self.path / _LOCK).exists() and any(self.path.iterdir()):
      raise ValueError(
        f"{self.path} has files that launch.prepare has not written, and the "
        "store is made in a folder of that name; rename it, or give another "
        "output"
      )
    return (self.path / _LOCK).open("w", encoding="utf-8")

  def _is_current(self, lock: IO[str]) -> bool:
    try:
      found = (self.path / _LOCK).stat()
    except FileNotFoundError:
      return False
    return found.st_ino == os.fstat(lock.fileno()).st_ino

  def _resume(self) -> None:
    if self._journal.exists() and not self._restart:
      state = json.loads(self._journal.read_text(encoding="utf-8"))
      if state.get("made_by") != code_versions():
        known, ours = (
          json.dumps(s) for s in (state.get("made_by"), code_versions())
        )
        raise ValueError(
          f"{self.path} was begun by other code or packages: {known}, not "
          f"{ours}; give --restart to begin again"
        )
      if state["recipe"] != self._recipe:
        raise ValueError(
          f"{self.path} was begun {_difference(state['recipe'], self._recipe)}"
          "; give --restart to begin again"
        )
      self.parts = state["parts"]
      self.resumed = True
      return
    self._clear()

  def _clear(self) -> None:
    """Delete all but the lock, by which the folder is known as ours."""
    # The journal goes first, because it says that the rest is complete.
    self._journal.unlink(missing_ok=True)
    for entry in self.path.iterdir():
      if entry.is_dir():
        shutil.rmtree(entry)
      elif entry.name != _LOCK:
        entry.unlink()

  def save(self) -> None:
    """Write the journal; call this after the files that it describes."""
    state = {"recipe": self._recipe, "parts": self.parts}
    text = json.dumps({"made_by": code_versions(), **state})
    files.write_text(self._journal, text)

  def commit(self) -> None:
    """Move the store into place."""
    if self._output.is_dir():
      self._output.rmdir()  # an empty folder is in the way
    commit(self.path / "store", self._output)

  def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
    bad_input = kind is not None and (
      issubclass(kind, ValueError) and not issubclass(kind, ReadError)
    )
    assert self._lock is not None
    with self._lock:
      if kind is None or bad_input:
        self._clear()
        shutil.rmtree(self.path)
