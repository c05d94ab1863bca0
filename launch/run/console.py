# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a pre-training run prints: config, mesh, rows, progress, validation."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from bertjax.config import (
  ObjectiveConfig,
  PretrainConfig,
  flatten_fields,
  to_mapping,
)
from bertjax.config.checks.dropout import rates as dropout_rates
from bertjax.config.model import given_rate
from bertjax.model.parameters import count_parameters
from bertjax.objectives import pretraining
from bertjax.parallel import multihost, sharding
from bertjax.train import flops, peaks, progress
from bertjax.train.program import Program
from data_pipelines.rows.mixture_pipeline import MixturePipeline
from launch.run.assembly import RunSpec
from launch.run.phase import PhaseRun

# Below this share, parameters that ZeRO-1 does not divide are not worth a line:
# they are biases and scales.
_SMALL = 0.02
# A dropout rate that draws round by less is as good as given.
_ROUNDED = 1e-5


def describe_config(spec: RunSpec, path: pathlib.Path) -> Iterator[str]:
  """Yield the fields of a run's config that are not the defaults.

  Args:
    spec: parts of the run.
    path: file that has all fields.
  """
  default, given, used = (
    flatten_fields(to_mapping(config))
    for config in (PretrainConfig(), spec.given, spec.config)
  )
  groups: dict[str, list[str]] = {}
  for name, value in used.items():
    if value == default[name]:
      continue
    group, _, field = name.rpartition(".")
    chosen = "" if value == given[name] else " (chosen)"
    groups.setdefault(group, []).append(f"{field}={value}{chosen}")
  yield f"config in {path}; its fields that are not the defaults:"
  for group, fields in groups.items():
    yield f"  {group}{': ' * bool(group)}{', '.join(fields)}"


def describe_mesh(program: Program, params: Any) -> Iterator[str]:
  """Yield a line on devices and mesh, and lines on dropout and ZeRO-1.

  Args:
    program: program of the run.
    params: parameters on the devices, or abstract ones.
  """
  mesh, config = program.mesh, program.config
  shape = " × ".join(f"{axis} {size}" for axis, size in mesh.shape.items())
  processes = multihost.process_count()
  yield (
    f"{count_parameters(params):,} parameters on {mesh.size} "
    f"{mesh.devices.flat[0].device_kind} ({shape}) of {processes} "
    f"process{'es' * (processes > 1)}"
  )
  if config.compute.dropout_rng == "rbg":
    yield (
      "dropout_rng=rbg: dropout is reproducible on the same mesh, backend and "
      "compiler only"
    )
  else:
    yield "dropout_rng=threefry: dropout is the same on any mesh and backend"
  yield from _describe_draws(config)
  if not config.mesh.zero1:
    return
  whole = sharding.replicated_share(params)
  if whole > _SMALL:
    yield (
      f"mesh.zero1: {whole:.0%} of the parameters are whole on every device, "
      f"since mesh.data={mesh.shape['data']} divides none of their axes"
    )


def _describe_draws(config: PretrainConfig) -> Iterator[str]:
  """Yield a line where draws give another dropout rate than is asked for."""
  draws = config.compute.dropout_draws
  given = {
    name: (rate, given_rate(rate, draws))
    for name, rate in dropout_rates(config).items()
  }
  told = [
    f"{name}={rate} is {real:.6g}"
    for name, (rate, real) in given.items()
    if abs(rate - real) > _ROUNDED
  ]
  if told:
    yield (
      f"dropout_draws={draws}: {' and '.join(told)}; what is kept is scaled "
      "by the share that is really kept, so that means stay"
    )


def describe_start(spec: RunSpec, start: int) -> Iterator[str]:
  """Yield notes on what a run that begins after step `start` leaves out."""
  config = spec.config
  if not spec.phases[0].evaluation:
    others = spec.config.evaluation.stores
    what = f"only {others} is evaluated" if others else "nothing is evaluated"
    yield f"the store has no validation split: {what}"
  if start:
    yield f"resuming from step {start} of {config.steps}"
  first = config.profile.start_step
  if start >= first > 0:
    yield f"profile.start_step={first} is already done: nothing is traced"


def describe_phase(phase: PhaseRun) -> Iterator[str]:
  """Yield what the steps of a phase read, and a line for each of its stores."""
  steps, config = phase.stop - phase.start, phase.config
  rows = phase.pipeline.report()
  yield (
    f"steps {phase.start + 1:,} to {phase.stop:,}: "
    f"{config.batch_size} rows of {config.data.seq_length} tokens, at most "
    f"{phase.pipeline.num_packs} examples a row, attention by "
    f"{config.compute.attention}; {1 - rows['efficiency']:.1%} padding; "
    f"{rows['truncated_share']:.1%} of the tokens cut off; "
    f"{rows['random_share']:.1%} of the examples with a random partner, which "
    f"adds {rows['random_token_share']:.1%} tokens; "
    f"{phase.pipeline.epoch(steps):.2f} epochs"
  )
  if not isinstance(phase.pipeline, MixturePipeline):
    return
  members = phase.pipeline.members.items()
  for name, each in sorted(members, key=lambda item: -item[1].batch_size):
    yield (
      f"  {name}: {each.batch_size} of {config.batch_size} rows "
      f"({each.batch_size / config.batch_size:.1%}), "
      f"{1 - each.report()['efficiency']:.1%} padding, "
      f"{each.epoch(steps):.2f} epochs"
      + ("" if name in phase.evaluation else "; no validation split")
    )


def describe_values(values: Mapping[str, float]) -> list[str]:
  """Return the values of an evaluation, a line for each store of a mixture."""
  lines: dict[str, list[str]] = {}
  for name, value in values.items():
    metric, _, store = name.partition("/")
    shown = f"{metric.replace('_', ' ')} {value:.3f}"
    lines.setdefault(store, []).append(shown)
  return [
    f"  {store}: {'  '.join(shown)}" if store else "  ".join(shown)
    for store, shown in lines.items()
  ]


def make_flops_meter(spec: RunSpec) -> progress.Meter:
  """Return how to count the FLOPs of a step, and the peak of the devices."""
  # The weight of this loss is the number of predictions.
  predicted = pretraining.token_objective(spec.config.objective).loss

  def step_flops(metrics: Mapping[str, tuple[float, float]]) -> float:
    counts = {
      name: metrics[name][0] for name in flops.COUNTS if name in metrics
    }
    return flops.train_flops(
      spec.config.model, counts, predictions=metrics[predicted][1]
    )

  peak = peaks.peak_flops(spec.program.mesh.devices.flat[0].device_kind)
  return progress.Meter(
    flops=step_flops, peak=peak and peak * spec.program.mesh.size
  )


def shown_metrics(objective: ObjectiveConfig) -> list[str]:
  """Return the metrics that the progress line shows."""
  return [*pretraining.shown_metrics(objective), "packing_efficiency"]
