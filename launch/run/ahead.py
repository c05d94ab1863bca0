# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Compile the step of a resumed run while its checkpoint is read.

Reading waits for a disk, and compiling for a processor; loading a program that
`launch.hosts.compile_cache` kept still traces and lowers the step.
"""

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence

from bertjax.train import memory
from launch.run.assembly import RunSpec

_LISTEN_SECONDS = 0.2


def compiling(
  spec: RunSpec, steps: Sequence[int]
) -> contextlib.AbstractContextManager[None]:
  """Return a context in which the next train step is compiled.

  JAX keeps it with the jitted function, so that the run does not compile it
  again. A step that does not fit the memory of a device is no error here: the
  run compiles and judges it afterwards.

  Args:
    spec: the run.
    steps: steps of its checkpoints, ascending; without any, and at the last
      step, nothing is compiled.
  """
  left = [phase for phase in spec.phases if steps and phase.stop > steps[-1]]
  if not left:
    return contextlib.nullcontext()
  # What is made once and kept is made here, and not by two threads.
  step, batch = left[0].program.train_step, left[0].program.abstract_batch()
  state = spec.program.abstract_state()
  return working(lambda: memory.step_bytes(step, state, batch))


@contextlib.contextmanager
def working(work: Callable[[], object]) -> Iterator[None]:
  """Call `work` on a thread while the body runs, and wait for both.

  The error of the body is raised, or else that of `work`. Ctrl-C in the body
  waits for nothing.
  """
  failed: list[BaseException] = []

  def run() -> None:
    try:
      work()
    except BaseException as error:
      failed.append(error)

  thread = threading.Thread(
    target=contextvars.copy_context().run, args=[run], name="ahead", daemon=True
  )
  thread.start()
  try:
    yield
  except BaseException as error:
    # Python would crash if it ended while XLA compiles; after Ctrl-C the
    # command ends at once (`launch.console.interrupt`).
    if not isinstance(error, KeyboardInterrupt):
      _wait_for(thread)
    raise
  _wait_for(thread)
  if failed:
    raise failed[0]


def _wait_for(thread: threading.Thread) -> None:
  """Wait in short turns.

  A signal that comes between Python's last look for one and the start of a
  wait is heard when the wait ends.
  """
  while thread.is_alive():
    thread.join(_LISTEN_SECONDS)
