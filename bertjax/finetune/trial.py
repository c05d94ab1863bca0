# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One run: train, look at dev now and then, keep the best, score test."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from bertjax.batch import Batch
from bertjax.config import FinetuneConfig
from bertjax.finetune.programs import Programs, with_seed
from bertjax.finetune.rate import set_rate
from bertjax.finetune.scores import Scores
from bertjax.finetune.splits import Split, evaluate
from bertjax.train import loop
from bertjax.train.hooks import CheckFinite, Hook, StepInfo, StepRecord
from bertjax.train.state import TrainState


@dataclasses.dataclass(frozen=True)
class Material:
  """What every run of an arm shares.

  Attributes:
    programs: compiled functions.
    start: seed → the state that a run starts from; a fresh one every time,
      because the first step consumes it.
    train: (seed, step) → global training batch.
    dev: chooses checkpoint and learning rate.
    test: is only reported.
    steps: of every run.
  """

  programs: Programs
  start: Callable[[int], TrainState]
  train: Callable[[int, int], Batch]
  dev: Split
  test: Split
  steps: int


@dataclasses.dataclass(frozen=True)
class Outcome:
  """The best checkpoint of a run by its dev metric.

  Attributes:
    params: of that checkpoint.
    step: after which it was taken.
    dev: its scores on dev.
    test: its scores on test.
    curve: (step, dev scores) of every evaluation.
    train_loss: mean over the last tenth of the steps.
  """

  params: Any
  step: int
  dev: Scores
  test: Scores
  curve: tuple[tuple[int, Scores], ...]
  train_loss: float

  def to_json(self) -> dict[str, Any]:
    """Return everything but the parameters."""
    return {
      "best_step": self.step,
      "dev": dataclasses.asdict(self.dev),
      "test": dataclasses.asdict(self.test),
      "train_loss": self.train_loss,
      "curve": [
        {"step": step, **dataclasses.asdict(scores)}
        for step, scores in self.curve
      ],
    }


def run_once(
  material: Material, config: FinetuneConfig, *, learning_rate: float, seed: int
) -> Outcome:
  """Fine-tune once; a pure function of the material, rate and seed.

  Raises:
    hooks.Diverged: the loss is no number any more.
  """
  programs = material.programs

  def batches(start: int) -> Iterator[Batch]:
    for step in range(start, material.steps):
      yield with_seed(material.train(seed, step), seed, programs.mesh)

  best = _KeepBest(material, config)
  tail = _TailLoss(material.steps)
  loop.train(
    set_rate(material.start(seed), learning_rate),
    train_step=programs.train_step,
    batches=batches,
    steps=material.steps,
    mesh=programs.mesh,
    hooks=(CheckFinite(), tail, best),
  )
  assert best.scores is not None  # the last step is always evaluated
  return Outcome(
    params=best.params,
    step=best.step,
    dev=best.scores,
    test=evaluate(programs, best.params, material.test),
    curve=tuple(best.curve),
    train_loss=tail.mean,
  )


class _KeepBest(Hook):
  """Evaluates on dev and keeps a copy of the best parameters in memory."""

  def __init__(self, material: Material, config: FinetuneConfig) -> None:
    self._material = material
    self._metric = config.metric
    count = min(config.evaluations, material.steps)
    self._due = {material.steps * (i + 1) // count for i in range(count)}
    self.curve: list[tuple[int, Scores]] = []
    self.params: Any = None
    self.step = 0
    self.scores: Scores | None = None

  def wants(self, info: StepInfo) -> bool:
    return info.step in self._due

  def run(self, state: TrainState, info: StepInfo) -> None:
    scores = evaluate(self._material.programs, state.params, self._material.dev)
    self.curve.append((info.step, scores))
    best = self.scores
    if best is None or scores.rank(self._metric) > best.rank(self._metric):
      # A copy, because the next step consumes the state.
      self.params = jax.tree.map(jnp.copy, state.params)
      self.step, self.scores = info.step, scores


class _TailLoss(Hook):
  """Mean training loss over the last tenth of the steps."""

  def __init__(self, steps: int) -> None:
    self._after = steps - max(1, steps // 10)
    self._losses: list[float] = []

  def record(self, record: StepRecord) -> None:
    if record.step > self._after:
      self._losses.append(record.metrics["loss"][0])

  @property
  def mean(self) -> float:
    return sum(self._losses) / len(self._losses)
