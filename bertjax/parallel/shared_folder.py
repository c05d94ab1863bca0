# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Wait until every host of a run sees the same in a shared folder.

A network file system shows a file that another host wrote with a delay.
"""

import os
import pathlib
import time
from collections.abc import Callable, Sequence

from bertjax.parallel import multihost

Path = str | os.PathLike[str]

_NEW_FILE_SECONDS = 10.0
_LISTING_SECONDS = 90.0  # NFS caches a listing for up to 60
_POLL_SECONDS = 0.1


def check_shared(folder: Path) -> None:
  """Check that all processes see the same folder: process 0 writes a mark.

  Raises:
    ValueError: a process does not see the mark.
  """
  if multihost.process_count() == 1:
    return
  name = multihost.broadcast_from_first("mark", lambda: f".mark-{os.getpid()}")
  mark = pathlib.Path(folder) / name
  multihost.broadcast_from_first("marked", mark.touch)
  try:
    multihost.run_on_all(
      "shared folder", lambda: _wait(folder, mark.exists, _NEW_FILE_SECONDS)
    )
  finally:
    if multihost.is_first():
      mark.unlink(missing_ok=True)


def wait_for_same_listing(
  folder: Path,
  list_steps: Callable[[], Sequence[int]],
  reload: Callable[[], None],
) -> None:
  """Wait until every process lists the steps in `folder` that process 0 lists.

  Args:
    folder: named in the error.
    list_steps: returns the steps that this process knows of.
    reload: makes `list_steps` read the folder again.

  Raises:
    ValueError: a process still lists other steps after a while.
  """
  wanted = multihost.broadcast_from_first(
    "listing", lambda: sorted(list_steps())
  )

  def is_same() -> bool:
    if sorted(list_steps()) != wanted:
      reload()
    return sorted(list_steps()) == wanted

  multihost.run_on_all(
    "listing", lambda: _wait(folder, is_same, _LISTING_SECONDS)
  )


def _wait(folder: Path, is_seen: Callable[[], bool], seconds: float) -> None:
  deadline = time.monotonic() + seconds
  while not is_seen():
    if time.monotonic() > deadline:
      raise ValueError(
        f"{folder} has other files here than on process 0; give a folder that "
        "all hosts share, on a network file system or a mounted bucket"
      )
    time.sleep(_POLL_SECONDS)
