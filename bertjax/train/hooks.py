# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Everything periodic is a hook; the loop itself only steps.

Hooks run on the state before the next batch is fetched, in the order given:
evaluate first, checkpoint last, so that a checkpoint at step t knows that the
evaluation at t is done (law 6).
"""

import dataclasses
import logging
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax

from bertjax.config import CheckpointConfig, ProfileConfig
from bertjax.train.state import TrainState

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Moment:
  """Where the loop stands: `step` of `steps` are done.

  `steps` are those of the phase. `stopping` says that the process is to end
  now: what takes long waits for the run to go on.
  """

  step: int
  steps: int
  stopping: bool = False

  @property
  def finished(self) -> bool:
    """Whether no step is left."""
    return self.step >= self.steps

  def every(self, period: int) -> bool:
    """Whether a period of steps ends here; also at the end of the run."""
    due = period > 0 and self.step > 0 and self.step % period == 0
    return due or self.finished


@dataclasses.dataclass(frozen=True)
class StepRecord:
  """What one step gave, read one step late (law 12).

  Attributes:
    step: steps done, this one included.
    metrics: {name: (sum, weight)}.
    seconds: since the step before, without the time of hooks.
    wait_seconds: of these, spent waiting for the batch.
    finished: whether no step of the phase is left.
    first: whether it is the first of its loop: `seconds` is then mostly the
      time of compiling.
  """

  step: int
  metrics: Mapping[str, tuple[float, float]]
  seconds: float
  wait_seconds: float
  finished: bool
  first: bool = False


class Hook:
  """Does nothing; a base for what does something."""

  def wants(self, moment: Moment) -> bool:
    """Return whether `run` is to be called now; keep it cheap."""
    del moment
    return False

  def run(self, state: TrainState, moment: Moment) -> None:
    """Act on the state. The metrics of all steps before it are recorded."""

  def record(self, record: StepRecord) -> None:
    """Take the metrics of one step; called for every step, in order."""

  def snapshot(self) -> dict[str, Any]:
    """Return what a resumed run must know, JSON-able; {} for nothing."""
    return {}

  def restore(self, snapshot: Mapping[str, Any]) -> None:
    """Take back what `snapshot` returned at the restored step."""

  def close(self) -> None:
    """Release what the hook holds; called once, also after an error."""


class Evaluate(Hook):
  """Run an evaluation every so many steps and at the end.

  Args:
    evaluate: parameters → values, for example on the validation split.
    report: takes the step and these values.
    every_steps: the period; 0 evaluates at the end only.
    settings: what the values depend on beside the parameters, JSON-able. A
      finished run that is started again with the same settings reuses its
      values.
  """

  def __init__(
    self,
    evaluate: Callable[[Any], Mapping[str, float]],
    report: Callable[[int, Mapping[str, float]], None],
    *,
    every_steps: int,
    settings: Any = None,
  ) -> None:
    self._evaluate = evaluate
    self._report = report
    self._every_steps = every_steps
    self._settings = settings
    self.step = -1
    self.values: Mapping[str, float] = {}

  def wants(self, moment: Moment) -> bool:
    """Return whether it is due."""
    # A run that must stop now saves first; it is evaluated when it goes on.
    return (
      moment.every(self._every_steps)
      and not moment.stopping
      and self.step != moment.step
    )

  def run(self, state: TrainState, moment: Moment) -> None:
    """Do it."""
    self.values = self._evaluate(state.params)
    self.step = moment.step
    self._report(moment.step, self.values)

  def snapshot(self) -> dict[str, Any]:
    """Return the last values, and the step they are of."""
    return {
      "evaluate": {
        "step": self.step,
        "values": dict(self.values),
        "settings": self._settings,
      }
    }

  def restore(self, snapshot: Mapping[str, Any]) -> None:
    """Take back the last values if they are of the same settings."""
    # A store without a validation split leaves none.
    saved = snapshot.get("evaluate")
    if saved is not None and saved["settings"] == self._settings:
      self.step, self.values = saved["step"], saved["values"]


class Checkpoint(Hook):
  """Save the state every so many steps, at the end, and when stopping.

  Args:
    save: takes the state and the step.
    config: the period; how many stay is the business of `save`.
    start: the step that was restored; it is there already.
  """

  def __init__(
    self,
    save: Callable[[TrainState, int], None],
    config: CheckpointConfig,
    *,
    start: int = -1,
  ) -> None:
    self._save = save
    self._every_steps = config.every_steps
    self._saved = start

  def wants(self, moment: Moment) -> bool:
    """Return whether it is due."""
    due = moment.every(self._every_steps) or moment.stopping
    return due and moment.step != self._saved

  def run(self, state: TrainState, moment: Moment) -> None:
    """Do it."""
    self._save(state, moment.step)
    self._saved = moment.step


class Diverged(ValueError):
  """A loss that is not a number, or infinite."""


class CheckFinite(Hook):
  """End the run where its loss is no number any more.

  The loop records all metrics before it saves, so no state that follows a
  loss of nan is ever saved.
  """

  def record(self, record: StepRecord) -> None:
    """Raise `Diverged` where the loss is nan or infinite."""
    loss = record.metrics["loss"][0]
    if not math.isfinite(loss):
      raise Diverged(
        f"loss is {loss} at step {record.step}: the run has diverged; lower "
        "optimizer.learning_rate or lengthen optimizer.warmup_steps"
      )


class Profile(Hook):
  """Trace some steps, for xprof.

  It ends a trace, and goes before the other hooks; its `starter` begins one,
  and goes after them: what they do between two steps is not in it.

  Args:
    folder: gets the trace.
    config: which steps.
    say: takes a line for the user.
  """

  def __init__(
    self,
    folder: str | os.PathLike[str],
    config: ProfileConfig,
    say: Callable[[str], None] = logger.info,
  ) -> None:
    self._folder = str(folder)
    self._before = config.start_step - 1
    self._last = self._before + config.steps
    self._say = say
    self._running = False

  def starter(self) -> Hook:
    """Return the hook that begins the trace."""
    return _StartProfile(self)

  def wants(self, moment: Moment) -> bool:
    """Return whether the traced steps are done, or the loop ends."""
    over = moment.step >= self._last or moment.finished or moment.stopping
    return self._running and over

  def run(self, state: TrainState, moment: Moment) -> None:
    """End the trace."""
    jax.block_until_ready(state)
    self.close()
    self._say(
      f"traced steps {self._before + 1} to {moment.step}: "
      f"xprof --logdir={self._folder}"
    )

  def close(self) -> None:
    """End a trace that an error has cut short."""
    if self._running:
      self._running = False
      jax.profiler.stop_trace()

  def due(self, moment: Moment) -> bool:
    """Return whether the step after this moment is the first to trace."""
    leaves = moment.finished or moment.stopping
    return moment.step == self._before and not leaves and not self._running

  def start(self, state: TrainState) -> None:
    """Begin the trace, once nothing is left of the steps before."""
    jax.block_until_ready(state)
    jax.profiler.start_trace(self._folder)
    self._running = True


class _StartProfile(Hook):
  """The other half of a `Profile`."""

  def __init__(self, profile: Profile) -> None:
    self._profile = profile

  def wants(self, moment: Moment) -> bool:
    return self._profile.due(moment)

  def run(self, state: TrainState, moment: Moment) -> None:
    del moment
    self._profile.start(state)
