# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Folders that launchers write, which are plain ones."""

import os


def check_folder(flag: str, value: str | os.PathLike[str] | None) -> None:
  """Refuse an address, of which pathlib would make a folder called `gs:`.

  Args:
    flag: what the value was given as.
    value: None is none given.

  Raises:
    ValueError: it has a scheme, as gs://.
  """
  text = os.fspath(value or "")
  scheme, mark, rest = text.partition("://")
  if mark:
    raise ValueError(
      f"--{flag}={text}: a run writes plain files, and {scheme}:// holds none; "
      f"mount it and give the folder, as /buckets/{rest.strip('/') or 'NAME'} "
      "(what launch.pods makes does both)"
    )
