# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How much memory Python's objects take at most while something runs."""

import gc
import math
import tracemalloc
from collections.abc import Callable

# Threads of earlier tests may allocate meanwhile; rarely three times over.
_TRIES = 3


def peak_bytes(run: Callable[[], object], enough: float = math.inf) -> int:
  """Return the most bytes that Python objects made by `run` take at once.

  Garbage of earlier tests is collected before and not meanwhile: finalizers
  allocate, and the warning of a file that was left open reads a source file.

  Args:
    run: what is measured; it is run again where the peak was higher than
      `enough`, since other threads can only add to it.
    enough: the peak that the test allows.
  """
  gc.collect()
  enabled = gc.isenabled()
  gc.disable()
  try:
    least = _traced(run)
    for _ in range(_TRIES - 1):
      if least > enough:
        least = min(least, _traced(run))
  finally:
    if enabled:
      gc.enable()
  return least


def _traced(run: Callable[[], object]) -> int:
  tracemalloc.start()
  try:
    run()
    return tracemalloc.get_traced_memory()[1]
  finally:
    tracemalloc.stop()
