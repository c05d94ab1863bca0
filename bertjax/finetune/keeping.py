# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a trial keeps while it trains: its best parameters and its losses."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bertjax.config import FinetuneConfig
from bertjax.finetune.programs import Programs
from bertjax.finetune.scores import ClassCounts
from bertjax.finetune.splits import Evaluation, Split, evaluate
from bertjax.finetune.task import Scores, rank
from bertjax.model.parameters import by_name
from bertjax.train.finite import are_finite
from bertjax.train.hooks import Diverged, Hook, StepInfo, StepRecord
from bertjax.train.state import TrainState


class KeepBest(Hook):
  """Evaluates on dev, and keeps a copy of the best parameters.

  Args:
    programs: compiled functions.
    dev: the split that chooses the parameters.
    steps: number of steps of a trial.
    config: metric, evaluations and patience.
    copies: whether the best parameters are copied, because the next step
      consumes those that the hook is given.

  Attributes:
    curve: the `step` of every evaluation, with its scores.
    params: the best parameters; None before the first evaluation.
    step: number of steps after which they were kept.
    found: their evaluation.
  """

  def __init__(
    self,
    programs: Programs,
    dev: Split,
    steps: int,
    config: FinetuneConfig,
    *,
    copies: bool = True,
  ) -> None:
    self._programs = programs
    self._dev = dev
    self._metric = config.metric
    count = min(config.evaluations, steps)
    self._due = {steps * (i + 1) // count for i in range(count)}
    self._patience = config.patience
    self._copies = copies
    self.curve: list[Scores] = []
    self.params: Any = None
    self.step = 0
    self.found: Evaluation | None = None

  @property
  def is_exhausted(self) -> bool:
    """Whether the last evaluations, as many as `patience`, were no better."""
    later = sum(each["step"] > self.step for each in self.curve)
    return 0 < self._patience <= later

  def wants(self, info: StepInfo) -> bool:
    """Return whether an evaluation is due."""
    # The loop runs its hooks once more where it is stopped.
    is_done = bool(self.curve) and self.curve[-1]["step"] == info.step
    return info.step in self._due and not is_done

  def run(self, state: TrainState, info: StepInfo) -> None:
    """Evaluate, and keep the parameters if they are the best so far.

    Raises:
      Diverged: a score is nan or infinite.
    """
    found = evaluate(self._programs, state.params, self._dev)
    check_scores("dev", info.step, found.scores)
    self.curve.append({"step": info.step, **found.scores})
    if self.found is None or self._rank(found) > self._rank(self.found):
      # Those before need not stay beside the new ones.
      self.params = None
      self.params = (
        jax.tree.map(jnp.copy, state.params) if self._copies else state.params
      )
      self.step, self.found = info.step, found

  def snapshot(self) -> dict[str, Any]:
    """Return the curve, and the evaluation of the best parameters."""
    if self.found is None:
      return {}
    classes = self.found.classes
    return {
      "curve": list(self.curve),
      "step": self.step,
      "scores": dict(self.found.scores),
      "classes": classes.to_json() if classes else None,
      "is_degenerate": self.found.is_degenerate,
    }

  def restore(self, snapshot: Mapping[str, Any]) -> None:
    """Take all but the parameters from a snapshot."""
    if not snapshot:
      return
    classes = snapshot["classes"]
    self.curve, self.step = list(snapshot["curve"]), snapshot["step"]
    self.found = Evaluation(
      snapshot["scores"],
      classes and ClassCounts.from_json(classes),
      snapshot.get("is_degenerate"),
    )

  def _rank(self, found: Evaluation) -> tuple[float, float]:
    return rank(found.scores, self._metric)


def check_scores(split: str, step: int, scores: Scores) -> None:
  """Raise `Diverged` if a score is nan or infinite."""
  for name, value in scores.items():
    if not math.isfinite(value):
      raise Diverged(
        f"{name} on {split} is {value} after step {step}: the run has "
        "diverged; give lower learning_rates"
      )


def check_parameters(params: Any, step: int) -> None:
  """Raise `Diverged` if a parameter is nan or infinite."""
  finite = jax.device_get(are_finite(by_name(params)))
  for name, is_finite in finite.items():
    if not is_finite:
      raise Diverged(
        f"{name} has nan or infinity after step {step}: the run has diverged; "
        "give lower learning_rates"
      )


class TailLoss(Hook):
  """Averages the training loss over the last tenth of the steps."""

  def __init__(self) -> None:
    self._losses: list[float] = []

  def record(self, record: StepRecord) -> None:
    """Take the loss of a step."""
    self._losses.append(record.metrics["loss"][0])

  def snapshot(self) -> dict[str, Any]:
    """Return all losses."""
    return {"losses": list(self._losses)}

  def restore(self, snapshot: Mapping[str, Any]) -> None:
    """Take the losses of a snapshot."""
    self._losses = list(snapshot["losses"])

  @property
  def mean(self) -> float:
    """The mean over the last tenth of the steps."""
    last = self._losses[-max(1, len(self._losses) // 10) :]
    return sum(last) / len(last)
