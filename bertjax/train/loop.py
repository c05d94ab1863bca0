# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The one loop, for pre-training and for every fine-tuning task."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from bertjax.objectives.metrics import Metrics
from bertjax.parallel import feeding
from bertjax.train.hooks import Hook, Moment, StepRecord
from bertjax.train.state import TrainState
from bertjax.train.step import TrainStep

# Start step → an iterator over the batches of that step and those after it.
Batches = Callable[[int], Iterator[Mapping[str, np.ndarray]]]


def never(step: int) -> bool:
  """Never stop early."""
  del step
  return False


def train(
  state: TrainState,
  *,
  train_step: TrainStep,
  batches: Batches,
  steps: int,
  mesh: Mesh,
  hooks: Sequence[Hook] = (),
  stop: Callable[[int], bool] = never,
) -> TrainState:
  """Step from `state.step` to `steps`; return the state there.

  The order is an invariant (law 6): hooks see the old state, then the batch
  is fetched, then the step is dispatched, then the metrics of the step before
  are read, so that the device is never blocked in order to log (law 12).

  Args:
    state: donated to the first step; use the returned one.
    train_step: from `step.make_train_step`.
    batches: called once, with the step to start from, if a step is left. A
      batch is this process's rows of the global batch; an iterator with a
      `close` is closed.
    steps: where to end, the steps before `state` counted.
    mesh: what the batches are placed on.
    hooks: run in this order; closed by whoever made them.
    stop: asked before every step and at the end, with the steps done; True
      ends the loop once hooks have run. Processes of one run get the same
      answer.
  """
  step = int(jax.device_get(state.step))
  reader = _MetricsReader(hooks, steps)
  with contextlib.ExitStack() as stack:
    iterator = batches(step) if step < steps else iter(())
    stack.callback(_close, iterator)
    while True:
      # Hooks, on the old state.
      moment = Moment(step, steps, stopping=stop(step))
      due = [hook for hook in hooks if hook.wants(moment)]
      if due:
        reader.flush()
        for hook in due:
          hook.run(state, moment)
        reader.restart_clock()
      if moment.finished or moment.stopping:
        break

      # An implicit transfer is a device that waits for the host.
      with jax.transfer_guard("disallow"):
        # The batch.
        asked = time.perf_counter()
        batch = next(iterator)
        waited = time.perf_counter() - asked

        # The step; then the metrics of the step before.
        with jax.profiler.StepTraceAnnotation("train", step_num=step + 1):
          placed = feeding.put_batch(batch, mesh)
          state, metrics = train_step(state, placed)
        step += 1
        reader.dispatched(step, metrics, waited)
    reader.flush()
  return state


class _MetricsReader:
  """Hands metrics to the hooks, one step late."""

  def __init__(self, hooks: Sequence[Hook], steps: int) -> None:
    self._hooks = hooks
    self._steps = steps
    self._pending: tuple[int, Metrics, float] | None = None
    self._clock = time.perf_counter()
    self._first = True

  def dispatched(self, step: int, metrics: Metrics, waited: float) -> None:
    """Read the metrics of the step before `step`, which is on its way."""
    before, self._pending = self._pending, (step, metrics, waited)
    if before is not None:
      self._deliver(*before)

  def flush(self) -> None:
    """Read what is left, waiting for the device."""
    if self._pending is not None:
      before, self._pending = self._pending, None
      self._deliver(*before)

  def restart_clock(self) -> None:
    """Count no time up to now: hooks are not training."""
    self._clock = time.perf_counter()

  def _deliver(self, step: int, metrics: Metrics, waited: float) -> None:
    values = jax.device_get(metrics)
    now = time.perf_counter()
    record = StepRecord(
      step=step,
      metrics={
        name: (float(total), float(weight))
        for name, (total, weight) in values.items()
      },
      seconds=now - self._clock,
      wait_seconds=waited,
      finished=step >= self._steps,
      first=self._first,
    )
    self._first = False
    self._clock = now
    for hook in self._hooks:
      hook.record(record)


def _close(iterator: Any) -> None:
  # Plain iterators have nothing to close; generators and pipelines do.
  if hasattr(iterator, "close"):
    iterator.close()
