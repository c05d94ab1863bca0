# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A full disk, in one line that names a place and a fix."""

import os
import tempfile

from absl import flags

from bertjax.files import NO_ROOM

_TEXTS = tuple(map(os.strerror, NO_ROOM))
_WRITTEN = ("output", "workdir")


def explain(
  error: BaseException | str, values: flags.FlagValues = flags.FLAGS
) -> str:
  """Return what could not be written, and the fix; "" for any other error.

  Args:
    error: of the system, or of a library that says the same in words. What
      has a line of its own already is no longer an error of the system.
    values: flags of the command, which name the place where the error does not.
  """
  if isinstance(error, str | ValueError):
    return ""
  if isinstance(error, OSError):
    reason = os.strerror(error.errno) if error.errno in NO_ROOM else ""
    place = error.filename
  else:
    reason = next((text for text in _TEXTS if text in str(error)), "")
    place = None
  if not reason:
    return ""
  return (
    f"cannot write {os.fsdecode(place) if place else _places(values)}: "
    f"{reason}; make room there, and run the same command again"
  )


def _places(values: flags.FlagValues) -> str:
  """Return where a command writes, as far as its flags say."""
  given = {name: values[name].value for name in _WRITTEN if name in values}
  written = [f"--{name}={value}" for name, value in given.items() if value]
  return " or ".join([*written, f"temporary files in {tempfile.gettempdir()}"])
