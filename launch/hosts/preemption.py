# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes stop before the same step, whichever of them was asked to.

A step is one computation of all processes: one that leaves alone takes the
others with it. So a process that gets a signal tells the others; each says up
to which step it has come and holds there; and the step after the furthest is
where all stop. It is done on threads, since the main one may be waiting for a
step that another process has not begun.
"""

import queue
import threading

from absl import logging

from bertjax.parallel import multihost

_LOOK_SECONDS = 0.5
_SETTLE_SECONDS = 15.0


class Together:
  """The request to stop of a run of several processes.

  Make it on all processes at the same point.
  """

  def __init__(self) -> None:
    self._key = multihost.unique_key("stop")
    self._wishes: queue.SimpleQueue[int] = queue.SimpleQueue()
    self._lock = threading.Lock()
    self._asked = -1
    self._last: int | None = None
    self._signal: int | None = None
    self._ended = threading.Event()
    self._thread = threading.Thread(target=self._watch, daemon=True)
    self._thread.start()

  @property
  def signal(self) -> int | None:
    """Number of the signal that one of the processes received."""
    return self._signal

  def announce(self, number: int) -> None:
    """Ask all to stop; safe in a signal handler, because it only queues."""
    self._wishes.put(number)

  def due(self, step: int) -> bool:
    """Whether to stop before `step`; steps do not go back.

    True at the same step on all processes.
    """
    with self._lock:
      self._asked = max(self._asked, step)
      return self._last is not None and step >= self._last

  def close(self) -> None:
    """End the thread."""
    self._ended.set()
    self._thread.join(_SETTLE_SECONDS)

  def _watch(self) -> None:
    try:
      while not self._ended.wait(_LOOK_SECONDS):
        if not self._wishes.empty():
          multihost.kv_set(self._key, str(self._wishes.get()))
        told = multihost.kv_try_get(self._key)
        if told is not None:
          self._settle(int(told))
          return
    except Exception as error:
      # Nobody would see it, on a thread; without it, a signal is not heard.
      logging.error("cannot stop together any more: %s", error)

  def _settle(self, number: int) -> None:
    with self._lock:
      steps = multihost.all_gather_at(
        f"{self._key}/steps", self._asked, seconds=_SETTLE_SECONDS
      )
      self._signal, self._last = number, max(steps) + 1


def several() -> Together | None:
  """Return what the processes of this run stop by; None for one alone."""
  return Together() if multihost.process_count() > 1 else None
