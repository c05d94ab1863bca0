# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Validation during pre-training, of all stores and of each."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax

from bertjax.config import ObjectiveConfig
from bertjax.objectives.metrics import Metrics
from bertjax.parallel import feeding
from bertjax.train import step
from data_pipelines.rows.evaluation import EvaluationBatches
from launch.run.assembly import Parts
from launch.run.phase import Phase

# Fields of an objective that say what a masked row looks like.
_OF_MASKS = (
  "mask_rate",
  "mask_unit",
  "mask_token_rate",
  "random_token_rate",
  "random_tokens",
)
_Sums = dict[str, tuple[float, float]]


def make_evaluate(
  parts: Parts, phase: Phase
) -> Callable[[Any], dict[str, float]]:
  """Return parameters → validation values, with fixed masks.

  Masked as `ObjectiveConfig` is by default, but for the rate of `evaluation`:
  whatever is trained on, so that the values of runs compare. Values are over
  the rows of all stores together; those of a mixture also over the rows of each
  alone, as "mlm_loss/NAME".
  """
  published = ObjectiveConfig(mask_rate=parts.config.evaluation.mask_rate)
  objective = dataclasses.replace(
    parts.config.objective,
    **{name: getattr(published, name) for name in _OF_MASKS},
  )
  task = parts.program.task(phase.config, objective)
  eval_step = step.make_eval_step(task, parts.program.mesh)
  rows = feeding.local_rows(parts.program.mesh, phase.config.batch_size)

  def add_up(batches: EvaluationBatches, params: Any) -> _Sums:
    sums: _Sums = {}
    pending: Metrics = {}
    for index in range(len(batches)):
      placed = feeding.put_batch(batches.batch(index, rows), parts.program.mesh)
      # One batch late, so that the host makes the next one meanwhile; not
      # later, since evaluations depend on nothing of each other, and two in
      # flight can block each other's collectives on virtual CPU devices.
      _add(sums, jax.device_get(pending))
      pending = eval_step(params, placed)
    _add(sums, jax.device_get(pending))
    return sums

  def evaluate(params: Any) -> dict[str, float]:
    pooled: _Sums = {}
    alone: dict[str, float] = {}
    for store, batches in phase.evaluation.items():
      sums = add_up(batches, params)
      _add(pooled, sums)
      for name, value in _values(sums, task.coefficients).items():
        alone[f"{name}/{store}"] = value
    values = _values(pooled, task.coefficients)
    return {**values, **alone} if len(parts.mixture.members) > 1 else values

  return evaluate


def _values(sums: _Sums, coefficients: Mapping[str, float]) -> dict[str, float]:
  """Means, and the loss that they add up to."""
  means = {
    name: total / weight for name, (total, weight) in sums.items() if weight
  }
  loss = sum(
    coefficient * means.get(name, 0.0)
    for name, coefficient in coefficients.items()
  )
  return {"loss": loss, **means}


def _add(sums: _Sums, metrics: Mapping[str, tuple[Any, Any]]) -> None:
  for name, (total, weight) in metrics.items():
    before = sums.get(name, (0.0, 0.0))
    sums[name] = (before[0] + float(total), before[1] + float(weight))


def describe_values(values: Mapping[str, float]) -> list[str]:
  """Tell what an evaluation gave, a line each for the stores of a mixture."""
  lines: dict[str, list[str]] = {}
  for name, value in values.items():
    metric, _, store = name.partition("/")
    shown = f"{metric.replace('_', ' ')} {value:.3f}"
    lines.setdefault(store, []).append(shown)
  return [
    f"  {store}: {'  '.join(parts)}" if store else "  ".join(parts)
    for store, parts in lines.items()
  ]
