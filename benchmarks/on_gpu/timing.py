# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Seconds of a call on a device that works asynchronously."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax

_CHUNKS = 5


def median_seconds(run: Callable[[], Any], budget: float = 2.0) -> float:
  """Return the median seconds of a call, after two untimed ones.

  Calls are dispatched in chunks, and the device is waited for once a chunk, as
  in training.

  Args:
    run: dispatches the work, and returns arrays that depend on it.
    budget: seconds to spend, about.
  """
  jax.block_until_ready(run())
  begin = time.perf_counter()
  jax.block_until_ready(run())
  once = max(time.perf_counter() - begin, 1e-6)
  calls = max(1, int(budget / _CHUNKS / once))
  spent = []
  for _ in range(_CHUNKS):
    begin = time.perf_counter()
    for _ in range(calls - 1):
      run()
    jax.block_until_ready(run())
    spent.append((time.perf_counter() - begin) / calls)
  return statistics.median(spent)


def median_step_seconds(
  step: Callable[[Any, Any], tuple[Any, Any]],
  state: Any,
  batch: Any,
  budget: float,
) -> tuple[float, Any]:
  """Return the median seconds of a train step, and its last metrics.

  Args:
    step: state, batch → next state, metrics; it may consume the state.
    state: where it starts.
    batch: what it reads, again and again.
    budget: seconds to spend, about.
  """
  metrics: Any = None

  def run() -> Any:
    nonlocal state, metrics
    state, metrics = step(state, batch)
    return metrics

  seconds = median_seconds(run, budget)
  return seconds, jax.device_get(metrics)


def first_line(error: BaseException) -> str:
  """Return the kind of an error and its first line."""
  line = next(iter(str(error).splitlines()), "")
  return f"{type(error).__name__}: {line[:300]}"
