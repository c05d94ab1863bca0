# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One run: train, evaluate on dev, keep the best parameters, score test."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bertjax.batch import Batch
from bertjax.config import FinetuneConfig
from bertjax.finetune.programs import Programs, local_part, set_learning_rate
from bertjax.finetune.splits import Split, evaluate
from bertjax.finetune.task import Scores, rank
from bertjax.train import loop
from bertjax.train.hooks import CheckFinite, Hook, StepInfo, StepRecord
from bertjax.train.state import TrainState
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
  """

  programs: Programs
  start: Callable[[int], TrainState]
  train: Callable[[int, int], Batch]
  dev: Split
  test: Split | None
  steps: int


@dataclasses.dataclass(frozen=True)
class TrialResult(JsonResult):
  """Scores of the parameters of a trial that are best on dev.

  Attributes:
    best_step: number of steps after which these parameters were kept.
    dev: their scores on dev.
    test: their scores on test; empty without a test split.
    train_loss: mean loss over the last tenth of the steps.
    curve: the `step` of every evaluation, with its scores on dev.
  """

  best_step: int
  dev: Scores
  test: Scores
  train_loss: float
  curve: tuple[Scores, ...]


@dataclasses.dataclass(frozen=True)
class DivergedTrial(JsonResult):
  """The result of a trial whose loss became NaN or infinite: the message."""

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
) -> TrialRun:
  """Fine-tune once; a pure function of the inputs, the rate and the seed.

  Raises:
    hooks.Diverged: the loss became NaN or infinite.
    ValueError: a batch is not what the task declares.
  """
  programs = inputs.programs

  def batches(start: int) -> Iterator[Batch]:
    for step in range(start, inputs.steps):
      yield local_part(inputs.train(seed, step), programs.mesh)

  best = _KeepBest(inputs, config)
  tail = _TailLoss(inputs.steps)
  loop.train(
    set_learning_rate(inputs.start(seed), learning_rate),
    train_step=programs.train_step_of(seed),
    batches=batches,
    steps=inputs.steps,
    mesh=programs.mesh,
    hooks=(CheckFinite(), tail, best),
  )
  assert best.scores is not None  # the last step is always evaluated
  result = TrialResult(
    best_step=best.step,
    dev=best.scores,
    test={}
    if inputs.test is None
    else evaluate(programs, best.params, inputs.test),
    train_loss=tail.mean,
    curve=tuple(best.curve),
  )
  return TrialRun(result, best.params)


class _KeepBest(Hook):
  """Evaluates on dev, and keeps a copy of the best parameters."""

  def __init__(self, inputs: TrialInputs, config: FinetuneConfig) -> None:
    self._inputs = inputs
    self._metric = config.metric
    count = min(config.evaluations, inputs.steps)
    self._due = {inputs.steps * (i + 1) // count for i in range(count)}
    self.curve: list[Scores] = []
    self.params: Any = None
    self.step = 0
    self.scores: Scores | None = None

  def wants(self, info: StepInfo) -> bool:
    return info.step in self._due

  def run(self, state: TrainState, info: StepInfo) -> None:
    scores = evaluate(self._inputs.programs, state.params, self._inputs.dev)
    self.curve.append({"step": info.step, **scores})
    best = self.scores
    if best is None or rank(scores, self._metric) > rank(best, self._metric):
      # A copy, because the next step consumes the state.
      self.params = jax.tree.map(jnp.copy, state.params)
      self.step, self.scores = info.step, scores


class _TailLoss(Hook):
  """Averages the training loss over the last tenth of the steps."""

  def __init__(self, steps: int) -> None:
    self._after = steps - max(1, steps // 10)
    self._losses: list[float] = []

  def record(self, record: StepRecord) -> None:
    if record.step > self._after:
      self._losses.append(record.metrics["loss"][0])

  @property
  def mean(self) -> float:
    return sum(self._losses) / len(self._losses)
