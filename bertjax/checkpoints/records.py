# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The records of checkpoints, read as JSON: no devices, and no barriers."""

import contextlib
import json
import logging
import os
import pathlib
from typing import Any

from bertjax.checkpoints import digest
from bertjax.config import renamed

# The item of a step that is its record, as Orbax's JSON handler writes it.
RECORD = "record"
_FILE = "metadata"
_COMMITTED = "commit_success.txt"
logger = logging.getLogger(__name__)


def committed_steps(folder: pathlib.Path) -> list[int]:
  """Return the steps whose checkpoints are committed, ascending."""
  return sorted(
    int(each.parent.name)
    for each in folder.glob(f"*/{_COMMITTED}")
    if each.parent.name.isdecimal()
  )


def newest_write(folder: pathlib.Path) -> float:
  """Return when a checkpoint that is not committed was last written to.

  Args:
    folder: that of `checkpoint.Checkpoints`; it need not exist.

  Returns:
    Seconds since the epoch, by the file system's clock; 0 without such a one.
  """
  done = {str(step) for step in committed_steps(folder)}
  times = [0.0]
  for step in folder.glob("[0-9]*"):
    if step.name not in done:
      for path in (step, *step.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
          times.append(path.stat().st_mtime)
  return max(times)


def read_newest_record(
  folder: str | os.PathLike[str],
) -> dict[str, Any] | None:
  """Return the newest record that matches its sha256, or None.

  Args:
    folder: that of `checkpoint.Checkpoints`; it need not exist.

  Raises:
    OSError: the storage failed.
  """
  path = pathlib.Path(folder)
  for step in reversed(committed_steps(path)):
    try:
      return read_sealed(path, step)["run"]
    except digest.Damaged as error:
      logger.warning("the record of checkpoint %d is damaged: %s", step, error)
  return None


def read_sealed(folder: pathlib.Path, step: int) -> dict[str, Any]:
  """Return `step`, `leaves` and `run` of a step's record.

  Raises:
    Damaged: the record cannot be read, or is that of another step.
    OSError: the storage failed.
  """
  with digest.reading():
    text = (folder / str(step) / RECORD / _FILE).read_text("utf-8")
    record = digest.unseal(json.loads(text))
  if record["step"] != step:
    raise digest.Damaged(
      f"its record is that of step {record['step']}: the folder was renamed"
    )
  return {**record, "run": renamed.current(record["run"])}
