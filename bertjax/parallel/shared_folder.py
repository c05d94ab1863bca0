# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A folder that the hosts of one run share, seen alike by all of them.

A network file system shows what another host wrote a little later.
"""

import os
import pathlib
import time
from collections.abc import Callable, Sequence

from bertjax.parallel import multihost

Path = str | os.PathLike[str]

_NEW_SECONDS = 10.0
_LISTING_SECONDS = 90.0  # NFS remembers a listing for up to 60


def check(folder: Path) -> None:
  """Refuse a folder that is not one and the same for all processes.

  Raises:
    ValueError: a process does not see what process 0 writes there.
  """
  if multihost.processes() == 1:
    return
  name = multihost.decide("mark", lambda: f".mark-{os.getpid()}")
  mark = pathlib.Path(folder) / name
  multihost.decide("marked", lambda: mark.write_text(""))
  try:
    multihost.alike(
      "shared folder", lambda: _see(folder, mark.exists, _NEW_SECONDS)
    )
  finally:
    if multihost.is_first():
      mark.unlink(missing_ok=True)


def list_alike(
  folder: Path, listed: Callable[[], Sequence[int]], reload: Callable[[], None]
) -> None:
  """Have every process list of a folder what process 0 lists.

  Args:
    folder: for the message.
    listed: what this process has found there, by numbers.
    reload: has `listed` look again.

  Raises:
    ValueError: a process still finds something else after a while.
  """
  wanted = multihost.decide("listing", lambda: sorted(listed()))

  def agrees() -> bool:
    if sorted(listed()) != wanted:
      reload()
    return sorted(listed()) == wanted

  multihost.alike("listing", lambda: _see(folder, agrees, _LISTING_SECONDS))


def _see(folder: Path, seen: Callable[[], bool], seconds: float) -> None:
  deadline = time.monotonic() + seconds
  while not seen():
    if time.monotonic() > deadline:
      raise ValueError(
        f"{folder} is not what process 0 sees there; give a folder that all "
        "hosts share, on a network file system or a mounted bucket"
      )
    time.sleep(0.1)
