# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Several trials that one program trains at once, side by side.

Small batches leave an accelerator idle, which several runs keep busy for little
more than the time of one. Each has its own head, order of the data and
dropout, and ends as if it had run alone, but for rounding. A run that diverges,
or whose scores no longer rise, is computed further and looked at no more.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bertjax.batch import Batch
from bertjax.config import FinetuneConfig
from bertjax.finetune.keeping import TailLoss
from bertjax.finetune.programs import (
  Programs,
  set_learning_rate,
)
from bertjax.finetune.resuming import SaveTrial, Session, Stopped
from bertjax.finetune.trial import (
  TrialInputs,
  TrialRun,
  finish,
  keep_best,
  train_steps,
)
from bertjax.train import joint
from bertjax.train.hooks import (
  CheckFinite,
  Diverged,
  Hook,
  StepInfo,
  StepRecord,
  restore_snapshots,
  take_snapshots,
)
from bertjax.train.state import TrainState


class Choice(NamedTuple):
  """What makes a trial another one than its neighbors."""

  learning_rate: float
  seed: int


def run_trials(
  inputs: TrialInputs,
  config: FinetuneConfig,
  choices: Sequence[Choice],
  session: Session | None = None,
) -> list[TrialRun | Diverged]:
  """Fine-tune several times at once; as `run_trial` does each.

  Args:
    inputs: data and programs.
    config: how to train.
    choices: learning rate and seed of each trial.
    session: where they are saved together.

  Returns:
    For each trial its result, or what it diverged with.

  Raises:
    Stopped: a signal asked to stop; the state is saved.
    ValueError: a batch is not what the task declares.
  """
  session = session or Session()
  programs = inputs.programs
  lanes = Lanes([_Lane(inputs, config) for _ in choices], programs)
  saving = SaveTrial(session, config.checkpoint_steps, (lanes,), lanes.best)
  with contextlib.closing(saving):
    restored = saving.restore_trial(
      joint.stacked_abstract(programs.abstract, len(choices)),
      {str(i): programs.abstract.params for i in range(len(choices))},
    )
    if restored is None:
      state = joint.stack_states(
        (
          set_learning_rate(inputs.start(choice.seed), choice.learning_rate)
          for choice in choices
        ),
        len(choices),
      )
    else:
      state, best = restored
      lanes.take_best(best or {})
    seeds = [choice.seed for choice in choices]
    step = train_steps(
      inputs,
      state,
      inputs.programs.joint_step_of(seeds),
      lambda step: training_batch(inputs, seeds, step),
      (lanes, saving),
      lambda: lanes.are_done or session.stop(),
    )
    if step < inputs.steps and not lanes.are_done:
      raise Stopped(step, inputs.steps)
    return [lane.finish(inputs) for lane in lanes.lanes]


def training_batch(
  inputs: TrialInputs, seeds: Sequence[int], step: int
) -> Batch:
  """Return the global batch of a step of several trials."""
  batches = [inputs.train(seed, step) for seed in seeds]
  for name in batches[0]:
    # A few batches have more rows than the others; what is added is padding.
    largest = np.max([each[name].shape for each in batches], axis=0)
    for each in batches:
      missing = largest - each[name].shape
      if missing.any():
        each[name] = np.pad(each[name], [(0, more) for more in missing])
  return joint.stack_batches(batches)


class _Lane:
  """One of the trials, with the hooks that a trial has alone."""

  def __init__(self, inputs: TrialInputs, config: FinetuneConfig) -> None:
    # What is taken out of a stack is a copy.
    self.best = keep_best(inputs, config, copies=False)
    self.tail = TailLoss()
    self.diverged = ""

  @property
  def is_done(self) -> bool:
    return bool(self.diverged) or self.best.is_exhausted

  @contextlib.contextmanager
  def keeping(self) -> Iterator[None]:
    """Note that the trial has diverged instead of raising that."""
    try:
      yield
    except Diverged as error:
      self.diverged = str(error)

  def finish(self, inputs: TrialInputs) -> TrialRun | Diverged:
    if not self.diverged:
      with self.keeping():
        return finish(inputs, self.best, self.tail)
    return Diverged(self.diverged)


class Lanes(Hook):
  """Hands each trial what is its own, until it is done.

  Args:
    lanes: the trials, in the order in which they are stacked.
    programs: compiled functions.
  """

  def __init__(self, lanes: Sequence[_Lane], programs: Programs) -> None:
    self.lanes = lanes
    self._take = joint.make_taker(programs.abstract)
    self._finite = CheckFinite()

  @property
  def are_done(self) -> bool:
    """Whether no trial is left to train."""
    return all(lane.is_done for lane in self.lanes)

  def wants(self, info: StepInfo) -> bool:
    """Return whether an evaluation of a trial is due."""
    return any(lane.best.wants(info) for _, lane in self._left())

  def run(self, state: TrainState, info: StepInfo) -> None:
    """Evaluate the trials that are left, one after another."""
    for number, lane in self._left():
      params = self._take(state.params, number)
      with lane.keeping():
        lane.best.run(TrainState(state.step, params, None), info)

  def record(self, record: StepRecord) -> None:
    """Take the metrics of the trials that are left."""
    for number, lane in self._left():
      metrics = {
        name: tuple(np.asarray(values)[:, number].tolist())
        for name, values in record.metrics.items()
      }
      own = StepRecord(**{**vars(record), "metrics": metrics})
      with lane.keeping():
        self._finite.record(own)
        lane.tail.record(own)

  def snapshot(self) -> dict[str, Any]:
    """Return what each trial has found so far."""
    return {
      "lanes": [
        {
          "diverged": lane.diverged,
          "hooks": take_snapshots((lane.tail, lane.best)),
        }
        for lane in self.lanes
      ]
    }

  def restore(self, snapshot: Mapping[str, Any]) -> None:
    """Take all but the best parameters from a snapshot."""
    for lane, saved in zip(self.lanes, snapshot["lanes"], strict=True):
      lane.diverged = saved["diverged"]
      restore_snapshots((lane.tail, lane.best), saved["hooks"])

  def best(self, state: TrainState) -> tuple[int, Mapping[str, Any]]:
    """Return the step of the last change, and each trial's best parameters.

    Other parameters stand in for those of a trial that was never evaluated.
    """
    step = max(lane.best.step for lane in self.lanes)
    if not step:
      return 0, {}
    return step, {
      str(number): lane.best.params
      if lane.best.found
      else self._take(state.params, number)
      for number, lane in enumerate(self.lanes)
    }

  def take_best(self, best: Mapping[str, Any]) -> None:
    """Take what `best` returned when the trials were saved."""
    for number, lane in enumerate(self.lanes):
      lane.best.params = best.get(str(number))

  def _left(self) -> list[tuple[int, _Lane]]:
    return [
      (number, lane)
      for number, lane in enumerate(self.lanes)
      if not lane.is_done
    ]
