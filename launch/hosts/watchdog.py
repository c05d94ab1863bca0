# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""End a run that hangs, so that it is started again.

A file system that does not answer, a device that is lost and a peer that waits
for another process raise no exception. Without a watchdog such a run would hold
its slice, and cost money, until a user notices.
"""

import contextlib
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from bertjax.train.hooks import Hook, StepInfo, StepRecord
from launch import cli

_POLL_SECONDS = 5.0
# The first step of a phase is compiled, which may take long for a large model.
_COMPILING = 4.0
# Telling the other processes may hang as well.
_TELL_SECONDS = 30.0


def end(text: str) -> NoReturn:
  """Print the stacks of all threads and `text`; exit with 42, as all do."""
  with contextlib.suppress(ValueError, OSError):  # no standard error
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
  late = threading.Timer(_TELL_SECONDS, os._exit, [cli.RESTART])
  late.daemon = True
  late.start()
  with contextlib.suppress(BaseException):
    cli.fail(text, cli.RESTART)
  os._exit(cli.RESTART)


class Watchdog(Hook):
  """Calls `act` when nothing has happened for too long.

  Time in which this process was stopped or suspended does not count.

  Args:
    minutes: how long a step, an evaluation or a checkpoint may take; the first
      step of a phase may take four times as long. 0 never acts.
    act: takes the error; called on a thread.
    poll_seconds: how often to look.
  """

  def __init__(
    self,
    minutes: float,
    act: Callable[[str], None] = end,
    *,
    poll_seconds: float = _POLL_SECONDS,
  ) -> None:
    self._minutes = minutes
    self._act = act
    self._poll_seconds = poll_seconds
    self._idle = 0.0
    self._slack = _COMPILING
    self._step = 0
    self._closed = threading.Event()
    if minutes:
      threading.Thread(target=self._watch, daemon=True).start()

  def begin_phase(self) -> None:
    """Wait longer until the next step is done."""
    self._slack = _COMPILING
    self.beat()

  def beat(self) -> None:
    """Note that something has happened."""
    self._idle = 0.0

  def wants(self, info: StepInfo) -> bool:
    """Note that the loop goes on; never acts."""
    self._step = info.step
    self.beat()
    return False

  def record(self, record: StepRecord) -> None:
    """Note that a step is done."""
    del record
    self._slack = 1.0
    self.beat()

  def close(self) -> None:
    """Stop watching."""
    self._closed.set()

  def _watch(self) -> None:
    before = time.monotonic()
    while not self._closed.wait(self._poll_seconds):
      now = time.monotonic()
      self._idle += min(now - before, 2 * self._poll_seconds)
      before = now
      if self._idle > 60 * self._minutes * self._slack:
        self._act(
          f"nothing has happened for {self._idle / 60:.3g} minutes after step "
          f"{self._step} (hang_minutes={self._minutes:.3g}), and the stacks of "
          "all threads are above; the same command goes on from the last "
          "checkpoint; --config.hang_minutes=0 would wait forever"
        )
        return
