# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What Ctrl-C does before a command begins, and when it ends a command.

So does a reader of the output that leaves, as `head` does.
"""

import _thread
import contextlib
import os
import select
import signal
import sys
import threading
import time
from typing import NoReturn

CODE = 130
UNREAD = 128 + signal.SIGPIPE
TEXT = "stopped by Ctrl-C"
UNREAD_TEXT = "stopped, because nobody reads the output any more"
# Seconds after which a KeyboardInterrupt that nobody handles is raised again.
_SECONDS = 1.0


def stop_imports() -> None:
  """Have Ctrl-C end this process in one line, until `begin`.

  Nothing is written while modules are imported, and an import may lose a
  KeyboardInterrupt, or print a traceback of it. A process that ignores SIGINT,
  as under nohup, goes on ignoring it.
  """
  if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _stop)


def begin() -> None:
  """Have Ctrl-C raise KeyboardInterrupt, until `end`.

  It is raised again if it is lost, as it is where Python or a library calls
  back what may not raise: JAX does at each collection of garbage.
  """
  if signal.getsignal(signal.SIGINT) is _stop:
    signal.signal(signal.SIGINT, _interrupt)


def end() -> None:
  """Raise no KeyboardInterrupt again: one of them has ended the command."""
  if signal.getsignal(signal.SIGINT) is _interrupt:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def leave() -> NoReturn:
  """End the process at once, after a KeyboardInterrupt that `main` raised.

  Python would first wait for threads, and threads of JAX that still run when it
  frees its modules crash the process.
  """
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(CODE)


def is_unread() -> bool:
  """Return whether the reader of standard output is gone."""
  watch = select.poll()
  watch.register(1, 0)  # a closed pipe is an event without being asked for
  return bool(watch.poll(0))


def drop_output(*clauses: str) -> None:
  """Print a line of `clauses` on standard error; drop standard output.

  What is still in its buffer would fail again at the exit.
  """
  os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
  if line := "; ".join(filter(None, clauses)):
    with contextlib.suppress(BrokenPipeError):
      print(line, file=sys.stderr, flush=True)


def _stop(*_: object) -> NoReturn:
  os.write(2, f"{TEXT}\n".encode())
  os._exit(CODE)


def _interrupt(*_: object) -> NoReturn:
  # `threading` takes locks, which the interrupted code may hold.
  _thread.start_new_thread(_repeat, ())
  raise KeyboardInterrupt


def _repeat() -> None:
  time.sleep(_SECONDS)
  while _is_handled():  # what is open is being closed
    time.sleep(_SECONDS)
  # Training has a handler of its own, which stops at the next step.
  if signal.getsignal(signal.SIGINT) is _interrupt:
    # `_thread.interrupt_main` does not wake a thread that sleeps.
    signal.pthread_kill(_main(), signal.SIGINT)


def _main() -> int:
  number = threading.main_thread().ident
  assert number is not None  # it has begun
  return number


def _is_handled() -> bool:
  """Return whether the main thread is in a `finally` or `except` of Ctrl-C.

  What is closed there may raise and handle other exceptions, whose context is
  the interrupt.
  """
  found = sys._current_exceptions().get(_main())
  error = found[1] if isinstance(found, tuple) else found  # Python 3.11
  while error is not None and not isinstance(error, KeyboardInterrupt):
    error = error.__context__
  return error is not None
