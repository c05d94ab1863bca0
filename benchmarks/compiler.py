# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The C++ compiler that torch.compile calls on a CPU."""

import os
import shutil
import sys

NAME = "a C++ compiler"
INSTALL = "apt-get install g++, or name one in CXX"


def is_there() -> bool:
  """Return whether this machine has one."""
  usual = "clang++" if sys.platform == "darwin" else "g++"
  return shutil.which(os.environ.get("CXX") or usual) is not None


def check() -> None:
  """End this process with a line if there is none."""
  if not is_there():
    sys.exit(
      f"error: --compile needs {NAME}, and there is none: {INSTALL}, or give "
      "--nocompile"
    )
