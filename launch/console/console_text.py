# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Text that the encoding of the environment does not have."""

import contextlib
import io
import os
import sys
from collections.abc import Sequence


def print_all() -> None:
  r"""Have the console write what its encoding lacks as `\uXXXX`, and go on.

  Python stops there, also where the encoding is ASCII, as for LC_ALL=C.
  """
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors="backslashreplace")


def find_unreadable(argv: Sequence[str]) -> str:
  """Return a line about an argument that is no text for Python, or "".

  Python keeps bytes that it cannot decode as halves of characters. Libraries
  that write files take text in UTF-8 alone, and say so by a traceback.
  """
  texts = [("the argument", argument) for argument in argv]
  with contextlib.suppress(FileNotFoundError):  # it was deleted
    texts.append(("the working folder", os.getcwd()))
  for name, text in texts:
    try:
      text.encode()
    except UnicodeEncodeError:
      shown = os.fsencode(text).decode(errors="backslashreplace")
      encoding = sys.getfilesystemencoding()
      if encoding == "utf-8":
        return f"{name} {shown} is not in UTF-8; rename what it names"
      return (
        f"{name} {shown} cannot be read as {encoding}, the encoding of this "
        "environment; set PYTHONUTF8=1, or LC_ALL=C.UTF-8"
      )
  return ""
