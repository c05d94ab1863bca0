# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One run: train, evaluate on dev, keep the best parameters, score test."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from bertjax.batch import Batch
from bertjax.config import FinetuneConfig
from bertjax.finetune.forgetting import Forgetting
from bertjax.finetune.keeping import (
  KeepBest,
  TailLoss,
  check_parameters,
  check_scores,
)
from bertjax.finetune.programs import Programs, local_part, set_learning_rate
from bertjax.finetune.resuming import SaveTrial, Session, Stopped
from bertjax.finetune.scores import ClassCounts
from bertjax.finetune.scores.calibration import (
  Answered,
  Calibration,
  calibrate,
)
from bertjax.finetune.splits import (
  Evaluation,
  Split,
  evaluate,
  split_outputs,
)
from bertjax.finetune.task import Scores
from bertjax.train import loop, progress
from bertjax.train.hooks import (
  CheckFinite,
  Hook,
)
from bertjax.train.state import TrainState
from bertjax.trials.answers import write_right
from bertjax.trials.results import JsonResult


@dataclasses.dataclass(frozen=True)
class TrialInputs:
  """What all trials of an arm share.

  Attributes:
    programs: compiled functions.
    start: seed → initial state; a fresh one each time, because the first step
      consumes it.
    train: (seed, step) → global training batch.
    dev: split that chooses the parameters and the learning rate.
    test: split that is only reported; None if the data have none.
    steps: number of steps of a trial.
    forgetting: parameters → what they have forgotten; None measures nothing.
    kept: copies of the parameters that stay on the devices beside those of
      the trials that run.
  """

  programs: Programs
  start: Callable[[int], TrainState]
  train: Callable[[int, int], Batch]
  dev: Split
  test: Split | None
  steps: int
  forgetting: Callable[[Any], Forgetting] | None = None
  kept: int = 0


@dataclasses.dataclass(frozen=True)
class TrialResult(JsonResult):
  """Scores of the parameters of a trial that are best on dev.

  Attributes:
    best_step: number of steps after which these parameters were kept.
    dev: their scores on dev.
    test: their scores on test; empty without a test split.
    train_loss: mean loss over the last tenth of the steps that were taken.
    curve: the `step` of every evaluation, with its scores on dev.
    classes: counts of each class by split; empty where outputs are not
      classes, and in results of earlier versions.
    calibration: how far probabilities can be trusted; None where answers have
      none, and in results of earlier versions.
    is_degenerate: whether the answers on dev say nothing of the texts; None
      where the task does not declare it, and in results of earlier versions.
    forgetting: what they have forgotten; None where that is not measured.
    right: {"test": a digit for each example, 1 where the answer is right};
      empty where an example has not one class, and in results of earlier
      versions.
    by_example: of test, what `FinetuneTask.by_example` says of each example;
      empty where the task says nothing, and in results of earlier versions.
  """

  best_step: int
  dev: Scores
  test: Scores
  train_loss: float
  curve: tuple[Scores, ...]
  classes: Mapping[str, ClassCounts] = dataclasses.field(default_factory=dict)
  calibration: Calibration | None = None
  is_degenerate: bool | None = None
  forgetting: Forgetting | None = None
  right: Mapping[str, str] = dataclasses.field(default_factory=dict)
  by_example: Mapping[str, tuple[float, ...]] = dataclasses.field(
    default_factory=dict
  )


@dataclasses.dataclass(frozen=True)
class DivergedTrial(JsonResult):
  """The result of a trial with a nan or infinity: the message."""

  diverged: str


def read_result(saved: Mapping[str, Any]) -> TrialResult | DivergedTrial:
  """Return the result whose `to_json` was saved."""
  kind = DivergedTrial if "diverged" in saved else TrialResult
  return kind.from_json(saved)


@dataclasses.dataclass(frozen=True)
class TrialRun:
  """A finished trial: its result and the parameters that have these scores."""

  result: TrialResult
  params: Any


def run_trial(
  inputs: TrialInputs,
  config: FinetuneConfig,
  *,
  learning_rate: float,
  seed: int,
  session: Session | None = None,
) -> TrialRun:
  """Fine-tune once; a pure function of the inputs, the rate and the seed.

  A trial that was interrupted goes on where it was saved, to the same result.
  What is saved stays until `resuming.delete_checkpoints`, when the result is
  stored.

  Args:
    inputs: data and programs.
    config: how to train.
    learning_rate: the peak of the schedule.
    seed: seed of the head, the order of the data and the dropout.
    session: where the trial is saved; None saves nothing.

  Raises:
    hooks.Diverged: a loss, a score or a parameter is nan or infinite.
    Stopped: a signal asked to stop; the state is saved.
    ValueError: a batch is not what the task declares.
  """
  session = session or Session()
  best, tail = keep_best(inputs, config), TailLoss()
  saving = SaveTrial(
    session,
    config.checkpoint_steps,
    (tail, best),
    lambda _: (best.step, best.params),
  )
  with contextlib.closing(saving):
    abstract = inputs.programs.abstract
    restored = saving.restore_trial(abstract, abstract.params)
    if restored is None:
      state = set_learning_rate(inputs.start(seed), learning_rate)
    else:
      state, best.params = restored
    step = train_steps(
      inputs,
      state,
      inputs.programs.train_step_of(seed),
      lambda step: inputs.train(seed, step),
      (CheckFinite(), tail, best, saving),
      lambda: best.is_exhausted or session.stop(),
    )
    if step < inputs.steps and not best.is_exhausted:
      raise Stopped(step, inputs.steps)
    return finish(inputs, best, tail)


def keep_best(
  inputs: TrialInputs, config: FinetuneConfig, *, copies: bool = True
) -> KeepBest:
  """Return the hook that keeps the best parameters of a trial."""
  return KeepBest(
    inputs.programs, inputs.dev, inputs.steps, config, copies=copies
  )


def train_steps(
  inputs: TrialInputs,
  state: TrainState,
  train_step: Callable[..., Any],
  batch_of: Callable[[int], Batch],
  hooks: tuple[Hook, ...],
  stop: Callable[[], bool],
) -> int:
  """Train to the end, or until `stop`; return the number of steps done.

  Args:
    inputs: data and programs of the trial.
    state: where training starts.
    train_step: the compiled step.
    batch_of: returns the global batch of a step.
    hooks: called at each step.
    stop: whether to end early.
  """
  mesh = inputs.programs.mesh

  def batches(start: int) -> Iterator[Batch]:
    for step in range(start, inputs.steps):
      yield local_part(batch_of(step), mesh)

  state = loop.train(
    state,
    train_step=train_step,
    batches=batches,
    steps=inputs.steps,
    mesh=mesh,
    hooks=(*hooks, *progress.make_tellers(inputs.steps)),
    stop=lambda _: stop(),
  )
  return int(jax.device_get(state.step))


def finish(inputs: TrialInputs, best: KeepBest, tail: TailLoss) -> TrialRun:
  """Score the best parameters on test.

  Args:
    inputs: data and programs.
    best: what the run has kept.
    tail: its training loss.

  Raises:
    hooks.Diverged: a score or a parameter is nan or infinite.
  """
  assert best.found is not None  # the last step is always evaluated
  check_parameters(best.params, best.step)
  programs = inputs.programs
  tuned = {name: best.found.scores[name] for name in programs.task.tuned}
  found = {"dev": best.found}
  if inputs.test is not None:
    found["test"] = evaluate(programs, best.params, inputs.test, tuned)
    check_scores("test", best.step, found["test"].scores)
  answered = _find_answered(inputs, best.params, found, tuned)
  result = TrialResult(
    best_step=best.step,
    dev=best.found.scores,
    test=found["test"].scores if "test" in found else {},
    train_loss=tail.mean,
    curve=tuple(best.curve),
    classes={
      name: each.classes for name, each in found.items() if each.classes
    },
    calibration=calibrate(answered) if answered else None,
    is_degenerate=best.found.is_degenerate,
    forgetting=inputs.forgetting and inputs.forgetting(best.params),
    right=_find_right(inputs, answered),
    by_example=_by_example(inputs, found, tuned),
  )
  return TrialRun(result, best.params)


def _find_answered(
  inputs: TrialInputs,
  params: Any,
  found: Mapping[str, Evaluation],
  tuned: Mapping[str, float],
) -> dict[str, Answered]:
  """Return the answers of each split; nothing where they are not chosen."""
  task = inputs.programs.task
  if task.class_logits is None and task.candidates is None:
    return {}
  splits = {"dev": inputs.dev, "test": inputs.test}
  answered = {}
  for name, each in found.items():
    split = splits[name]
    assert split is not None
    outputs = each.outputs or split_outputs(inputs.programs, params, split)
    chosen = task.answered(outputs, split.windows.tuned(tuned))
    assert chosen is not None
    answered[name] = chosen
  return answered


def _by_example(
  inputs: TrialInputs,
  found: Mapping[str, Evaluation],
  tuned: Mapping[str, float],
) -> dict[str, tuple[float, ...]]:
  """Return what is kept of each example of test, if the task keeps any."""
  task = inputs.programs.task
  outputs = found["test"].outputs if "test" in found else None
  if inputs.test is None or task.by_example is None or outputs is None:
    return {}
  columns = task.by_example(outputs, inputs.test.windows.tuned(tuned))
  return {name: tuple(each.tolist()) for name, each in columns.items()}


def _find_right(
  inputs: TrialInputs, answered: Mapping[str, Answered]
) -> dict[str, str]:
  """Return whether each answer on test is right, where accuracy counts that."""
  if "accuracy" not in inputs.programs.task.metrics or "test" not in answered:
    return {}
  assert inputs.test is not None
  right_N = answered["test"].is_right_N
  if len(right_N) != inputs.test.windows.owner_N[-1] + 1:
    return {}  # an example has several answers, such as the tags of its words
  return {"test": write_right(right_N)}
