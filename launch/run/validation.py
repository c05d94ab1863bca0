# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Validation during pre-training, over a run's stores and over further ones."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax

from bertjax.config import to_mapping
from bertjax.objectives.metrics import Metrics, MetricSums
from bertjax.parallel import feeding
from bertjax.train.hooks import Evaluate
from bertjax.train.writers import MetricsWriter
from data_pipelines.rows.evaluation import EvaluationBatches
from launch.run import console
from launch.run.assembly import RunSpec
from launch.run.bundles import bundle_steps
from launch.run.phase import PhaseRun
from launch.run.stores import VALIDATION

# (parameters, whether to stop) → values by metric, or None if it was stopped.
Evaluation = Callable[..., dict[str, float] | None]


class Validation:
  """The validation of a run, on the rows of the phase that is trained.

  Args:
    spec: what the run is made of.
    writer: takes the values.
    say: takes lines to print.
    beat: called for each batch, by which a watchdog tells slow from stuck.

  Attributes:
    hook: hook of the loop; each phase compiles its evaluation when first due.
  """

  def __init__(
    self,
    spec: RunSpec,
    writer: MetricsWriter,
    say: Callable[[Iterable[str]], None],
    beat: Callable[[], None] = lambda: None,
  ) -> None:
    self._spec = spec
    self._writer = writer
    self._say = say
    self._beat = beat
    self._phase = spec.phases[0]
    self._evaluate: Evaluation | None = None
    settings = spec.config.evaluation
    self.hook = Evaluate(
      self._run,
      self._report,
      every_steps=settings.every_steps,
      also=bundle_steps(spec.config).values(),
      settings=_settings(spec),
    )

  def start_phase(self, phase: PhaseRun) -> None:
    """Evaluate on the rows of `phase` from now on."""
    self._phase = phase
    self._evaluate = None

  def _run(
    self, params: Any, stop: Callable[[], bool]
  ) -> Mapping[str, float] | None:
    if self._evaluate is None:
      self._evaluate = make_evaluate(self._spec, self._phase)

    def stops() -> bool:
      self._beat()
      return stop()

    return self._evaluate(params, stops)

  def _report(self, step: int, values: Mapping[str, float]) -> None:
    length = {}
    if len(self._spec.phases) > 1:  # losses at two lengths cannot be compared
      length["seq_length"] = self._phase.config.data.seq_length
    self._writer.write(step, VALIDATION, {**length, **values})
    first, *more = console.describe_values(values)
    self._say([f"validation at step {step}: {first}", *more])


def make_evaluate(spec: RunSpec, phase: PhaseRun) -> Evaluation:
  """Return (parameters, stop) → validation values, with fixed masks.

  Batches are of the size of training's micro-batches, and `stop` is asked
  before each; the result is None once it is true. Values are means over the
  rows of all stores of the run. A mixture adds the means over the rows of each
  store, named "mlm_loss/NAME", and so do the further stores, which no other
  mean counts.
  """
  program = phase.program
  coefficients = program.evaluation_task().coefficients
  eval_step = program.eval_step
  rows = feeding.local_rows(spec.program.mesh, program.evaluation_batch_size)

  def add_up(
    batches: EvaluationBatches, params: Any, stop: Callable[[], bool]
  ) -> MetricSums | None:
    sums = MetricSums()
    pending: Metrics = {}
    for index in range(len(batches)):
      placed = feeding.put_batch(batches.batch(index, rows), spec.program.mesh)
      # Metrics are read one batch late, so that the host makes the next batch
      # meanwhile. Not later, because evaluations do not depend on each other:
      # two in flight can block each other's collectives on virtual CPU devices.
      sums.add(jax.device_get(pending))
      if stop():
        return None
      pending = eval_step(params, placed)
    sums.add(jax.device_get(pending))
    return sums

  def evaluate(
    params: Any, stop: Callable[[], bool] = lambda: False
  ) -> dict[str, float] | None:
    own = MetricSums()
    alone: dict[str, float] = {}
    stores = {**phase.evaluation, **phase.further}
    for store, batches in stores.items():
      sums = add_up(batches, params, stop)
      if sums is None:
        return None
      if store in phase.evaluation:
        own.add(sums.sums())
      of_store = {
        f"{name}/{store}": value
        for name, value in _values(sums, coefficients).items()
      }
      if spec.stores.is_mixture or store in phase.further:
        alone |= of_store
    values = _values(own, coefficients) if phase.evaluation else {}
    return {**values, **alone}

  return evaluate


def _values(
  sums: MetricSums, coefficients: Mapping[str, float]
) -> dict[str, float]:
  """Return the means, and the total loss that they add up to."""
  means = sums.means()
  loss = sum(
    coefficient * means.get(name, 0.0)
    for name, coefficient in coefficients.items()
  )
  return {"loss": loss, **means}


def _settings(spec: RunSpec) -> dict[str, Any]:
  """Return what values depend on, of stores their content, not their place."""
  settings = to_mapping(spec.config.evaluation)
  del settings["stores"]  # runs of earlier versions do not have it
  further = {name: each.sha256 for name, each in spec.stores.further.items()}
  return {**settings, **({"stores": further} if further else {})}
