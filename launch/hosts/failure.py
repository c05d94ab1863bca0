# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How one of several processes leaves when it fails.

JAX's runtime says farewell to all processes together. One that fails alone
waits there for the others, which wait for it in the middle of a step, until a
timeout aborts all of them with a code that says nothing. So a failure is told
to the others, who look for such news, and each process ends at once, with the
code of the one that failed.
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
_LOOK_SECONDS = 1.0
# For the others to hear of it. Process 0 goes last: the runtime of the others
# aborts where it is gone.
_LINGER_SECONDS = 3.0
_LAST_SECONDS = _LINGER_SECONDS + 2.0
# How a computation breaks whose peers, or the network, are gone; any other
# error of a compiler or a device would come again. Gloo says UNKNOWN.
_BROKEN = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED")
_BROKEN += ("INTERNAL", "UNKNOWN: Gloo")
_ended = threading.Event()
_heard = threading.Event()


def watch() -> None:
  """Look for failures of the others until this process ends; on a thread."""
  # Before JAX takes down what this asks.
  atexit.register(_ended.set)
  threading.Thread(target=_look, daemon=True).start()


def leave(
  error: BaseException | str, code: int | None, *, restart: int
) -> NoReturn:
  """Tell the others that this process fails, and end it.

  Args:
    error: why.
    code: to exit with; the others exit with it as well. None: it is an error
      that no launcher expects.
    restart: the code of what is to be started again.
  """
  if _heard.is_set():
    # Its peers are leaving: what breaks here is no news, and `_look` ends it.
    time.sleep(2 * _LAST_SECONDS)
  _ended.set()
  if code is None:
    traceback.print_exception(*sys.exc_info())
    code = restart if _lost_peers(error) else 1
  news = {
    "process": multihost.process_index(),
    "text": " ".join(str(error).split())[:500],
    "code": code,
  }
  try:
    multihost.kv_set(_KEY, json.dumps(news))
    time.sleep(_LAST_SECONDS if multihost.is_first() else _LINGER_SECONDS)
  except jax.errors.JaxRuntimeError:
    pass  # process 0 is gone
  _end(code)


def _lost_peers(error: BaseException | str) -> bool:
  """Whether a computation broke as it does where a peer is gone."""
  text = str(error)
  return (
    isinstance(error, jax.errors.JaxRuntimeError)
    and text.startswith(_BROKEN)
    and "RESOURCE_EXHAUSTED" not in text  # INTERNAL may tell of that
  )


def _look() -> None:
  while not _ended.wait(_LOOK_SECONDS):
    try:
      told = multihost.kv_try_get(_KEY)
    except jax.errors.JaxRuntimeError:
      return  # process 0 is gone, and the runtime says so
    if told is None:
      continue
    if _ended.is_set():
      return  # it fails itself
    _heard.set()
    news = json.loads(told)
    print(
      f"error: process {multihost.process_index()}: ends because process "
      f"{news['process']} failed: {news['text']}",
      file=sys.stderr,
    )
    if multihost.is_first():
      time.sleep(_LAST_SECONDS)
    _end(news["code"])


def _end(code: int) -> NoReturn:
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)
