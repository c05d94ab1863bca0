# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The one loop, for pre-training and for every fine-tuning task."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from bertjax.objectives.metrics import Metrics
from bertjax.parallel import feeding
from bertjax.train.hooks import Hook, StepInfo, StepRecord, check_names
from bertjax.train.state import TrainState
from bertjax.train.step import TrainStep

# Start step → an iterator over the batches of that step and those after it.
Batches = Callable[[int], Iterator[Mapping[str, np.ndarray]]]


def train(
  state: TrainState,
  *,
  train_step: TrainStep,
  batches: Batches,
  steps: int,
  mesh: Mesh,
  hooks: Sequence[Hook] = (),
  stop: Callable[[int], bool] = lambda _: False,
) -> TrainState:
  """Step from `state.step` to `steps`; return the state there.

  The order is an invariant (docs/design.md, law 6): (1) hooks run on the old
  state, (2) the batch is fetched, (3) the step is dispatched and the metrics
  of the step before are read, so that logging never blocks the device
  (law 12).

  Args:
    state: donated to the first step; use the returned one.
    train_step: from `step.make_train_step`.
    batches: called once, with the step to start from, if a step is left. A
      batch is this process's rows of the global batch; an iterator with a
      `close` is closed.
    steps: the step to end at, counted from the start of the run.
    mesh: the devices that the batches are placed on.
    hooks: run in this order; the caller closes them.
    stop: called with the steps done, before every step, at the end, after
      hooks have run, and by slow hooks while they run. True ends the loop once
      hooks have run. It must stay true, and return the same on all processes.

  Raises:
    ValueError: two hooks of one name.
  """
  check_names(hooks)
  step = int(jax.device_get(state.step))
  reader = _MetricsReader(hooks, steps)
  with contextlib.ExitStack() as stack:
    iterator = batches(step) if step < steps else iter(())
    stack.callback(_close, iterator)
    while True:
      # (1) Hooks, on the old state.
      info = StepInfo(step, steps, stop(step), functools.partial(stop, step))
      due = [hook for hook in hooks if hook.wants(info)]
      if due:
        reader.flush()
        _run_hooks(due, state, info)
        reader.restart_clock()
        if not info.stopping and stop(step):
          # Asked to stop while a hook ran: hooks that save do so at this step,
          # before an evaluation that was cut short is passed by.
          continue
      if info.last:
        break

      # An implicit transfer would make the device wait for the host.
      with jax.transfer_guard("disallow"):
        # (2) The batch.
        asked = time.perf_counter()
        batch = next(iterator)
        waited = time.perf_counter() - asked

        # (3) The step; then the metrics of the step before.
        with jax.profiler.StepTraceAnnotation("train", step_num=step + 1):
          placed = feeding.put_batch(batch, mesh)
          state, metrics = train_step(state, placed)
        step += 1
        reader.dispatched(step, metrics, waited)
    reader.flush()
  return state


def _run_hooks(
  hooks: Sequence[Hook], state: TrainState, info: StepInfo
) -> None:
  for hook in hooks:
    hook.before_hooks(state, info)
  for hook in hooks:
    hook.run(state, info)
  for hook in hooks:
    hook.after_hooks(state, info)


class _MetricsReader:
  """Hands the metrics of each step to the hooks, one step late."""

  def __init__(self, hooks: Sequence[Hook], steps: int) -> None:
    self._hooks = hooks
    self._steps = steps
    self._pending: tuple[int, Metrics, float] | None = None
    self._clock = time.perf_counter()
    self._first = True

  def dispatched(self, step: int, metrics: Metrics, waited: float) -> None:
    """Read the metrics of the step before `step`, which was dispatched."""
    before, self._pending = self._pending, (step, metrics, waited)
    if before is not None:
      self._deliver(*before)

  def flush(self) -> None:
    """Read the metrics of the last step; waits for the device."""
    if self._pending is not None:
      before, self._pending = self._pending, None
      self._deliver(*before)

  def restart_clock(self) -> None:
    """Measure seconds from now on: the time of hooks is not counted."""
    self._clock = time.perf_counter()

  def _deliver(self, step: int, metrics: Metrics, waited: float) -> None:
    values = jax.device_get(metrics)
    now = time.perf_counter()
    record = StepRecord(
      step=step,
      metrics={
        name: (_plain(total), _plain(weight))
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


def _plain(value: Any) -> Any:
  """Return a scalar as a float; values of several runs stay an array."""
  return value if np.ndim(value) else float(value)


def _close(iterator: Any) -> None:
  # Generators and pipelines have a `close`, plain iterators have none.
  if hasattr(iterator, "close"):
    iterator.close()
