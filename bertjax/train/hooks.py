# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Everything periodic is a hook; the loop itself only steps.

Hooks run on the state before the next batch is fetched, in the order given:
evaluate first, checkpoint last, so that a checkpoint at step t records that the
evaluation at step t is done (docs/design.md, law 6).
"""

import dataclasses
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from bertjax.config import CheckpointConfig
from bertjax.train import finite
from bertjax.train.finite import Diverged as Diverged  # callers catch it
from bertjax.train.state import TrainState


@dataclasses.dataclass(frozen=True)
class StepInfo:
  """Where the loop is between two steps.

  Attributes:
    step: steps done.
    steps: where the phase ends.
    stopping: whether the process must end now; slow hooks wait until the run
      is resumed.
    stop: whether the process has been asked to end meanwhile. A slow hook asks
      between two of its parts, equally often on all processes.
  """

  step: int
  steps: int
  stopping: bool = False
  stop: Callable[[], bool] = lambda: False

  @property
  def finished(self) -> bool:
    """Whether no step of the phase is left."""
    return self.step >= self.steps

  @property
  def last(self) -> bool:
    """Whether the loop ends here, finished or stopped."""
    return self.finished or self.stopping

  def every(self, period: int) -> bool:
    """Return whether a period of steps ends here, or the phase does."""
    due = period > 0 and self.step > 0 and self.step % period == 0
    return due or self.finished


@dataclasses.dataclass(frozen=True)
class StepRecord:
  """The metrics and times of one step, read one step late (law 12).

  Attributes:
    step: steps done, this one included.
    metrics: {name: (sum, weight)}; arrays, with a value for each run, where
      several are trained at once (`train.joint`).
    seconds: since the previous step, without the time of hooks.
    wait_seconds: the part of `seconds` spent waiting for the batch.
    finished: whether no step of the phase is left.
    first: whether it is the first step of its loop, whose `seconds` are mostly
      compile time.
  """

  step: int
  metrics: Mapping[str, tuple[float, float]]
  seconds: float
  wait_seconds: float
  finished: bool
  first: bool = False


class Hook:
  """A base class whose methods do nothing."""

  @property
  def name(self) -> str:
    """The key of its snapshot in a checkpoint; unique among the hooks."""
    return type(self).__name__

  def wants(self, info: StepInfo) -> bool:
    """Return whether the hook acts now; called at every step, so be quick."""
    del info
    return False

  def before_hooks(self, state: TrainState, info: StepInfo) -> None:
    """Act before any hook runs; the metrics of all steps are recorded."""

  def run(self, state: TrainState, info: StepInfo) -> None:
    """Act on the state; the metrics of all steps before it are recorded."""

  def after_hooks(self, state: TrainState, info: StepInfo) -> None:
    """Act after all hooks have run, right before the next step."""

  def record(self, record: StepRecord) -> None:
    """Take the metrics of one step; called for every step, in order."""

  def snapshot(self) -> dict[str, Any]:
    """Return the state that a resumed run needs, JSON-able; {} for none."""
    return {}

  def restore(self, snapshot: Mapping[str, Any]) -> None:
    """Restore the state that `snapshot` returned at the restored step."""

  def close(self) -> None:
    """Release resources; called once, also after an error."""


def check_names(hooks: Sequence[Hook]) -> None:
  """Refuse two hooks of one name: their snapshots would overwrite each other.

  Raises:
    ValueError: a name that two hooks have.
  """
  names = [hook.name for hook in hooks]
  for name in names:
    if names.count(name) > 1:
      raise ValueError(
        f"{names.count(name)} hooks are named {name!r}, which is the key of "
        "their snapshots in a checkpoint; give each a name of its own"
      )


def take_snapshots(hooks: Sequence[Hook]) -> dict[str, dict[str, Any]]:
  """Return the snapshots of hooks by the names of the hooks, without {}."""
  check_names(hooks)
  snapshots = {hook.name: hook.snapshot() for hook in hooks}
  return {name: snapshot for name, snapshot in snapshots.items() if snapshot}


def restore_snapshots(
  hooks: Sequence[Hook], snapshots: Mapping[str, Mapping[str, Any]]
) -> None:
  """Give each hook its snapshot, if it had one when they were taken."""
  check_names(hooks)
  for hook in hooks:
    if hook.name in snapshots:
      hook.restore(snapshots[hook.name])


class Evaluate(Hook):
  """Evaluate periodically and at the end of the phase.

  Args:
    evaluate: (parameters, stop) → values, for example on the validation split.
      It asks `stop` between its batches and returns None once that is true:
      nothing is reported then, and a resumed run evaluates again.
    report: takes the step and the values.
    every_steps: the period; 0 evaluates at the end only.
    also: steps after which it evaluates as well.
    settings: everything but the parameters that the values depend on,
      JSON-able. A finished run that is started again with the same settings
      reuses its values.
    name: key of the snapshot.
  """

  def __init__(
    self,
    evaluate: Callable[[Any, Callable[[], bool]], Mapping[str, float] | None],
    report: Callable[[int, Mapping[str, float]], None],
    *,
    every_steps: int,
    also: Container[int] = (),
    settings: Any = None,
    name: str = "evaluate",
  ) -> None:
    self._evaluate = evaluate
    self._report = report
    self._every_steps = every_steps
    self._also = also
    self._settings = settings
    self._name = name
    self.step = -1
    self.values: Mapping[str, float] = {}

  @property
  def name(self) -> str:
    """The key of its snapshot in a checkpoint."""
    return self._name

  def wants(self, info: StepInfo) -> bool:
    """Return whether an evaluation is due."""
    # A run that must stop now saves first; it evaluates when it is resumed.
    due = info.every(self._every_steps) or info.step in self._also
    return due and not info.stopping and self.step != info.step

  def run(self, state: TrainState, info: StepInfo) -> None:
    """Evaluate, and report the values.

    Raises:
      Diverged: a value is nan or infinite.
    """
    values = self._evaluate(state.params, info.stop)
    if values is None:
      return
    finite.check_values(values, f"evaluation after step {info.step}")
    self.step, self.values = info.step, values
    self._report(info.step, values)

  def snapshot(self) -> dict[str, Any]:
    """Return the values of the last evaluation, and its step."""
    return {
      "step": self.step,
      "values": dict(self.values),
      "settings": self._settings,
    }

  def restore(self, snapshot: Mapping[str, Any]) -> None:
    """Restore the last values if they have the same settings."""
    if snapshot["settings"] == self._settings:
      self.step, self.values = snapshot["step"], snapshot["values"]


class AtSteps(Hook):
  """Act on the state after some steps, also when a run is resumed there.

  Args:
    act: takes the state and the step.
    steps: the steps.
  """

  def __init__(
    self, act: Callable[[TrainState, int], None], steps: Container[int]
  ) -> None:
    self._act = act
    self._steps = steps

  def wants(self, info: StepInfo) -> bool:
    """Return whether this is one of the steps; a run that stops comes back."""
    return info.step in self._steps and not info.stopping

  def run(self, state: TrainState, info: StepInfo) -> None:
    """Act.

    Raises:
      Diverged: the state has a value of nan or infinity.
    """
    finite.check_state(state, info.step)
    self._act(state, info.step)


class Checkpoint(Hook):
  """Save the state periodically, at the end of the phase, and when stopping.

  Args:
    save: takes the state and the step.
    config: the period; `save` decides how many checkpoints are kept.
    start: the restored step, which is not saved again.
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

  def wants(self, info: StepInfo) -> bool:
    """Return whether a checkpoint is due."""
    due = info.every(self._every_steps) or info.stopping
    return due and info.step != self._saved

  def run(self, state: TrainState, info: StepInfo) -> None:
    """Save the state.

    Raises:
      Diverged: the state has a value of nan or infinity; it is not saved.
    """
    finite.check_state(state, info.step)
    self._save(state, info.step)
    self._saved = info.step


class CheckFinite(Hook):
  """End the run when its loss or its gradient is nan or infinite.

  The loop records all metrics before it saves, so a state that follows such a
  step is never saved. An infinite gradient is seen at its own step: clipping
  makes it nan in the parameters, and the loss would tell one step later.
  """

  def record(self, record: StepRecord) -> None:
    """Raise `Diverged` if the loss or the norm is nan or infinite."""
    values = {
      name: record.metrics[name][0]
      for name in ("loss", "grad_norm")
      if name in record.metrics
    }
    finite.check_values(values, f"step {record.step}")
