# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A hook that traces some steps for xprof."""

import logging
import os
from collections.abc import Callable

import jax

from bertjax.config import ProfileConfig
from bertjax.train.hooks import Hook, StepInfo
from bertjax.train.state import TrainState

logger = logging.getLogger(__name__)


class Profile(Hook):
  """Trace some steps.

  A trace starts after all hooks and ends before them, so that the hooks
  around the traced steps are not in it.

  Args:
    folder: where the trace is written.
    config: the steps to trace.
    say: takes a line for the user.
  """

  def __init__(
    self,
    folder: str | os.PathLike[str],
    config: ProfileConfig,
    say: Callable[[str], None] = logger.info,
  ) -> None:
    self._folder = str(folder)
    self._start = config.start_step - 1  # steps done before the trace
    self._stop = self._start + config.steps
    self._say = say
    self._running = False

  def wants(self, info: StepInfo) -> bool:
    """Return whether a trace starts or ends here."""
    if self._running:
      return info.step >= self._stop or info.last
    return info.step == self._start and not info.last

  def before_hooks(self, state: TrainState, info: StepInfo) -> None:
    """End the trace, once the device has finished the traced steps."""
    if not self._running:
      return
    jax.block_until_ready(state)
    self.close()
    self._say(
      f"traced steps {self._start + 1} to {info.step}; "
      f"view them with: xprof --logdir={self._folder}"
    )

  def after_hooks(self, state: TrainState, info: StepInfo) -> None:
    """Start the trace, once the device has finished the steps before it."""
    if info.step != self._start or info.last:
      return
    jax.block_until_ready(state)
    jax.profiler.start_trace(self._folder)
    self._running = True

  def close(self) -> None:
    """End a trace that is still running, for example after an error."""
    if self._running:
      self._running = False
      jax.profiler.stop_trace()
