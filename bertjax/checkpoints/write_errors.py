# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A write that fails, as on a full disk, in one line."""

import contextlib
import functools
import logging
import os
import pathlib
import re
from collections.abc import Callable, Iterator

import jax

from bertjax.checkpoints import digest
from bertjax.checkpoints.late_answers import drop_late_answers
from bertjax.files import first_line

# What TensorStore adds to an error of the file system.
_NUMBER = re.compile(r"os_error_code='(\d+)'")


@contextlib.contextmanager
def writing(folder: pathlib.Path, advice: Callable[[], str]) -> Iterator[None]:
  """Say in one line what could not be written, and what to do.

  Args:
    folder: what is written.
    advice: called after a failure; a clause for the user.

  Raises:
    Unavailable: the storage did not answer, which a restart may mend.
    OSError: the storage is full, or refused the write.
  """
  drop_late_answers()
  _log_once()
  try:
    yield
  except (OSError, ValueError) as error:
    kind = _kind(error)
    if kind is None:
      raise
    raise kind(
      f"cannot write {folder}: {_reason(error)}; {advice()}"
    ) from error


def _kind(error: BaseException) -> type[OSError] | None:
  """Return the exception of a failed write; None for another error."""
  # Memory of a device is no disk.
  if isinstance(error, jax.errors.JaxRuntimeError):
    return None
  kind = digest.kind_of(error)
  if kind is not None and issubclass(kind, OSError):
    return kind
  # Such as OUT_OF_RANGE of a file that is larger than a limit.
  if isinstance(error, ValueError) and _NUMBER.search(str(error)):
    return OSError
  return OSError if isinstance(error, OSError) and error.errno else None


def _reason(error: BaseException) -> str:
  """Return why a write failed, without the library's account of where."""
  if isinstance(error, OSError) and error.errno:
    return os.strerror(error.errno)
  found = _NUMBER.search(str(error))
  return os.strerror(int(found[1])) if found else first_line(error)[:200]


@functools.cache
def _log_once() -> None:
  """Print one line instead of a page when a write fails in the background.

  Orbax logs such an error on each thread that meets it, with its stack, and
  raises it at the next save. Its event loop logs those of other arrays.
  """
  said: set[str] = set()

  def say_once(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    ours = "orbax" in record.pathname or record.name == "asyncio"
    if not ours or error is None or _kind(error) is None:
      return True
    reason = _reason(error)
    if reason in said:
      return False
    said.add(reason)
    record.msg, record.args = "a write failed: %s", (reason,)
    record.exc_info = record.exc_text = None
    return True

  for name in ("absl", "asyncio"):
    logging.getLogger(name).addFilter(say_once)
