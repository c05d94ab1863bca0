# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""End all processes soon when one of them fails.

JAX's runtime waits for all processes when one exits. A process that fails alone
waits there for the others, which wait for it in the middle of a step, until a
timeout aborts all of them with an exit code that says nothing. So a process
that fails stores its error under a key that the others poll, and every process
exits at once with the code of the one that failed.
"""

import atexit
import json
import os
import sys
import threading
import time
import traceback
from typing import NoReturn

import jax

from bertjax.parallel import multihost

_KEY = "bertjax/failed"
_POLL_SECONDS = 1.0
# Time for the others to see the failure. Process 0 exits last, because JAX
# aborts the others as soon as it is gone.
_LINGER_SECONDS = 3.0
_LAST_SECONDS = _LINGER_SECONDS + 2.0
# How the error of a computation begins when another process or the network is
# gone; a restart mends those. Gloo says UNKNOWN.
_LOST_PEER = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED")
_LOST_PEER += ("INTERNAL", "UNKNOWN: Gloo")
_exiting = threading.Event()
_other_failed = threading.Event()


def watch() -> None:
  """Exit when another process fails; polls on a thread, until exit."""
  # Registered after JAX's own, so that it runs before the runtime is down.
  atexit.register(_exiting.set)
  threading.Thread(target=_poll, daemon=True).start()


def exit_all(
  error: BaseException | str, code: int | None, *, restart: int
) -> NoReturn:
  """Tell the other processes that this one fails, and exit.

  Args:
    error: why.
    code: exit code of all processes. None: the error is no user's mistake; its
      traceback is printed and the code follows from its kind.
    restart: the code that asks for a restart.
  """
  if _other_failed.is_set():
    # This error follows from the other's failure: `_poll` ends this process.
    time.sleep(2 * _LAST_SECONDS)
  _exiting.set()
  if code is None:
    traceback.print_exception(*sys.exc_info())
    code = restart if _is_lost_peer(error) else 1
  report = {
    "process": multihost.process_index(),
    "text": " ".join(str(error).split())[:500],
    "code": code,
  }
  try:
    multihost.kv_set(_KEY, json.dumps(report))
    time.sleep(_LAST_SECONDS if multihost.is_first() else _LINGER_SECONDS)
  except jax.errors.JaxRuntimeError:
    pass  # process 0 is gone, and the store with it
  _exit(code)


def _is_lost_peer(error: BaseException | str) -> bool:
  """Return whether a computation broke as it does when a process is gone."""
  text = str(error)
  return (
    isinstance(error, jax.errors.JaxRuntimeError)
    and text.startswith(_LOST_PEER)
    and "RESOURCE_EXHAUSTED" not in text  # some are wrapped in INTERNAL
  )


def _poll() -> None:
  while not _exiting.wait(_POLL_SECONDS):
    try:
      value = multihost.kv_try_get(_KEY)
    except jax.errors.JaxRuntimeError:
      return  # process 0 is gone, and JAX's runtime reports it
    if value is None:
      continue
    if _exiting.is_set():
      return  # this process fails itself
    _other_failed.set()
    report = json.loads(value)
    print(
      f"error: process {multihost.process_index()}: exits because process "
      f"{report['process']} failed: {report['text']}",
      file=sys.stderr,
    )
    if multihost.is_first():
      time.sleep(_LAST_SECONDS)
    _exit(report["code"])


def _exit(code: int) -> NoReturn:
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)
