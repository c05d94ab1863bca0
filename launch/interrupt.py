# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What Ctrl-C does before a command begins, and when it ends a command."""

import os
import signal
import sys
from typing import NoReturn

CODE = 130
TEXT = "stopped by Ctrl-C"


def stop_imports() -> None:
  """Have Ctrl-C end this process in one line, until `begin`.

  Nothing is written while modules are imported, and an import may lose a
  KeyboardInterrupt, or print a traceback of it. A process that ignores SIGINT,
  as under nohup, goes on ignoring it.
  """
  if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _stop)


def begin() -> None:
  """Have Ctrl-C raise KeyboardInterrupt again."""
  if signal.getsignal(signal.SIGINT) is _stop:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def leave() -> NoReturn:
  """End the process at once, after a KeyboardInterrupt that `main` raised.

  Python would first wait for threads, and threads of JAX that still run when it
  frees its modules crash the process.
  """
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(CODE)


def _stop(*_: object) -> NoReturn:
  os.write(2, f"{TEXT}\n".encode())
  os._exit(CODE)
