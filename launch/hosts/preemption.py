# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Stop all processes before the same step when one of them gets a signal.

A step is one computation of all processes, which breaks if one leaves alone. So
a process that receives a signal tells the others. Every process then holds
before its next step and announces that step, and all of them stop before the
step after the furthest. A step of an evaluation is such a step, too: the loop
then asks several times with one number of steps, and the how-manieth question
it is counts. This happens on threads, because the main thread may be waiting
for a step that another process has not begun.
"""

import logging
import queue
import threading

from bertjax.parallel import multihost

_POLL_SECONDS = 0.5
_SETTLE_SECONDS = 15.0


class PreemptionSync:
  """The stop request of a run of several processes; a `cli.StopSync`.

  Make it on all processes at the same point.
  """

  def __init__(self) -> None:
    self._key = multihost.unique_key("stop")
    self._requests: queue.SimpleQueue[int] = queue.SimpleQueue()
    self._lock = threading.Lock()
    # (step, how many times it was asked for), ordered like the questions.
    self._furthest_asked = (-1, 0)
    self._stop_after: tuple[int, int] | None = None
    self._signal: int | None = None
    self._closed = threading.Event()
    self._thread = threading.Thread(target=self._watch, daemon=True)
    self._thread.start()

  @property
  def signal(self) -> int | None:
    """Number of the signal that a process received, once all know."""
    return self._signal

  def request(self, number: int) -> None:
    """Ask all to stop; safe in a signal handler, because it only queues."""
    self._requests.put(number)

  def is_due(self, step: int) -> bool:
    """Return whether to stop before `step`, the same on all processes.

    Call it with steps that do not go back, and for each step equally often on
    all processes.
    """
    with self._lock:
      before, times = self._furthest_asked
      self._furthest_asked = (step, times + 1 if step == before else 1)
      after = self._stop_after
      return after is not None and self._furthest_asked > after

  def close(self) -> None:
    """End the thread."""
    self._closed.set()
    self._thread.join(_SETTLE_SECONDS)

  def _watch(self) -> None:
    try:
      while not self._closed.wait(_POLL_SECONDS):
        if not self._requests.empty():
          multihost.kv_set(self._key, str(self._requests.get()))
        number = multihost.kv_try_get(self._key)
        if number is not None:
          self._settle(int(number))
          return
    except Exception as error:
      # An exception on a thread is seen nowhere else, and without this thread
      # signals have no effect.
      logging.error("the processes cannot stop together any more: %s", error)

  def _settle(self, number: int) -> None:
    # The lock holds the main thread in `is_due`, so that it begins no step.
    with self._lock:
      steps = multihost.all_gather_at(
        f"{self._key}/steps", self._furthest_asked, seconds=_SETTLE_SECONDS
      )
      furthest = max((step, times) for step, times in steps)
      self._signal, self._stop_after = number, furthest


def make_preemption_sync() -> PreemptionSync | None:
  """Return the stop request of this run; None if it has one process."""
  return PreemptionSync() if multihost.process_count() > 1 else None
