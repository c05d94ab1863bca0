# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the workers of a session make once for all of them."""

import fcntl
import os
import shutil


def make_once(factory, name, make):
  """Return a folder that the first to ask fills; the others wait for it.

  Nobody may change it.

  Args:
    factory: pytest's `tmp_path_factory`.
    name: name of the folder.
    make: fills a folder.
  """
  root = factory.getbasetemp()
  if "PYTEST_XDIST_WORKER" in os.environ:
    root = root.parent  # each worker has a folder in that of the session
  folder, made = root / name, root / f"{name}.made"
  with (root / f"{name}.lock").open("w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not made.exists():
      shutil.rmtree(folder, ignore_errors=True)
      folder.mkdir()
      make(folder)
      made.touch()
  return folder
