# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The pure train and evaluation steps of any task."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from bertjax.batch import check_batch
from bertjax.objectives.metrics import Metrics
from bertjax.objectives.task import Features, Task
from bertjax.optim.schedules import Schedule
from bertjax.parallel import sharding
from bertjax.train import flops, gradients, joint, rng
from bertjax.train.state import TrainState, shardings_of

TrainStep = Callable[..., tuple[TrainState, Metrics]]
EvalStep = Callable[[Any, Any], Metrics]


@dataclasses.dataclass(frozen=True)
class RunStep:
  """A train step of one run, whose inputs beside state and batch are known.

  Attributes:
    jitted: the step (state, batch, seed, numbers of the schedule), which other
      runs may share.
    seed: seed of the run.
    numbers: those of the run's schedule.
    mesh: devices of the step.
  """

  jitted: Any
  seed: int
  numbers: Any
  mesh: Mesh

  def __call__(
    self, state: TrainState, batch: Features
  ) -> tuple[TrainState, Metrics]:
    """Run the step."""
    return self.jitted(state, batch, *self._placed)

  def lower(self, state: Any, batch: Any) -> Any:
    """Lower the step as a jitted function does; inputs stay inputs."""
    where = sharding.replicated(self.mesh)
    inputs = jax.tree.map(
      lambda leaf: jax.ShapeDtypeStruct((), leaf.dtype, sharding=where),
      self._inputs,
    )
    return self.jitted.lower(state, batch, *inputs)

  @property
  def _inputs(self) -> tuple[np.uint32, Any]:
    return np.uint32(self.seed), self.numbers

  @functools.cached_property
  def _placed(self) -> tuple[jax.Array, Any]:
    return jax.device_put(self._inputs, sharding.replicated(self.mesh))


@dataclasses.dataclass(frozen=True)
class StepOptions:
  """How a train step is run.

  Attributes:
    seed: the seed of dropout; None makes it the third argument of the step, a
      uint32 scalar, so that one compiled step serves every seed.
    folded: whether a seed that is an argument is folded into the key of seed 0.
      Otherwise it drops the same units as a constant seed.
    accumulation: number of micro-batches that a batch is split into.
    dropout_rng: "threefry" or "rbg" (docs/design.md, law 1).
    schedule: step → learning rate, to report; None reports none.
    scheduled: whether the numbers of a schedule are the fourth argument of the
      step, so that one compiled step serves every rate, warm-up and length; the
      seed is an argument then.
    gradient_dtype: "float32" to add up the gradients of all devices along
      `data` in it, "compute" for the dtype of compute.
    joint: whether the step trains several runs at once (`train.joint`).
    reach: how far the windows of a kernel reach (`flops.kernel_reach`).
    gather_in_loop: whether kernels of layers, sharded by ZeRO-1, are gathered
      in the loop over layers, if there is one micro-batch.
  """

  seed: int | None = 0
  folded: bool = True
  accumulation: int = 1
  dropout_rng: str = "threefry"
  schedule: Schedule | None = None
  scheduled: bool = False
  gradient_dtype: str = "compute"
  joint: bool = False
  reach: int | None = None
  gather_in_loop: bool = False


def make_train_step(
  task: Task,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  abstract: TrainState,
  options: StepOptions,
) -> TrainStep:
  """Return the jitted step (state, batch) → (state, metrics).

  The state is donated. Beside the task's metrics there are, as (value, 1),
  `loss`, `grad_norm` (before clipping), `learning_rate` where a schedule is
  given and the counts of `flops.count`; and `packing_efficiency`, the share
  of positions that are not padding.

  Args:
    task: the losses, and how a batch is prepared for them.
    optimizer: turns gradients into updates.
    mesh: with an axis `data`.
    abstract: shapes and shardings of the state, or a state.
    options: how the step is run.

  Raises:
    ValueError: before compiling: a batch that breaks `task.features`.
  """
  shardings = shardings_of(abstract)
  with_inputs = optax.with_extra_args_support(optimizer)
  global_grads = _make_gradients(task, mesh, shardings.params, options)

  def train_step(
    state: TrainState, batch: Features, seed: Any = None, numbers: Any = None
  ) -> tuple[TrainState, Metrics]:
    check_batch(batch, task.features)
    with sharding.activate(mesh):
      prepared = gradients.prepare(task, batch, options.accumulation)
      key = _dropout_key(options, seed, state.step)
      row_numbers = jnp.arange(batch["packs_BS"].shape[0], dtype=jnp.uint32)
      rows = {**prepared, "rows_B": row_numbers}
      fold = seed if options.folded else None
      total, metrics, grads = global_grads(
        state.params, rows, task.weights(prepared), key, fold
      )
      grads = jax.lax.with_sharding_constraint(grads, shardings.params)
      updates, opt_state = with_inputs.update(
        grads, state.opt_state, state.params, schedule_numbers=numbers
      )
      params = optax.apply_updates(state.params, updates)
    values = {"loss": total, "grad_norm": optax.tree.norm(grads)}
    metrics |= _step_metrics(batch, values, options.reach)
    if options.schedule is not None:
      metrics |= _rate_metric(options.schedule, state.step, numbers)
    return TrainState(state.step + 1, params, opt_state), metrics

  if options.joint:
    stacked = joint.stacked_shardings(shardings)
    return _compiled(joint.mapped(train_step), stacked, mesh, options)
  return _compiled(train_step, shardings, mesh, options)


def _make_gradients(
  task: Task, mesh: Mesh, param_shardings: Any, options: StepOptions
) -> gradients.GradientFunction:
  return gradients.make_gradients(
    task,
    mesh,
    param_shardings,
    accumulation=options.accumulation,
    in_float32=options.gradient_dtype == "float32",
    gather_in_loop=options.gather_in_loop,
  )


def _compiled(
  step: TrainStep, states: TrainState, mesh: Mesh, options: StepOptions
) -> TrainStep:
  """Return the jitted step, whose state has these shardings."""
  replicated = sharding.replicated(mesh)
  more = int(options.seed is None) + int(options.scheduled)
  return jax.jit(
    step,
    donate_argnums=0,
    in_shardings=(states, sharding.batch_sharding(mesh), *[replicated] * more),
    out_shardings=(states, replicated),
    compiler_options=_compiler_options(mesh, options),
  )


def _dropout_key(
  options: StepOptions, given: jax.Array | None, step: jax.Array
) -> jax.Array:
  constant = options.seed or 0
  seed = constant if given is None or options.folded else given
  return rng.stream(seed, "dropout", step, implementation=options.dropout_rng)


def _rate_metric(schedule: Schedule, step: jax.Array, numbers: Any) -> Metrics:
  """Return the learning rate; `numbers` are None where they are constants."""
  own = schedule if numbers is None else schedule.with_numbers(numbers)
  rate = jnp.asarray(own(step), jnp.float32)
  return {"learning_rate": (rate, jnp.ones((), jnp.float32))}


def _step_metrics(
  batch: Features, values: dict[str, jax.Array], reach: int | None
) -> Metrics:
  """Return `values` and the counts of a batch."""
  counts = flops.count(batch, reach)
  one = jnp.ones((), jnp.float32)
  metrics = {name: (value, one) for name, value in {**values, **counts}.items()}
  positions = jnp.float32(batch["packs_BS"].size)
  metrics["packing_efficiency"] = (counts["tokens"], positions)
  return metrics


def _compiler_options(
  mesh: Mesh, options: StepOptions
) -> dict[str, bool] | None:
  # Otherwise every chip draws the random bits of the global batch, and 256
  # chips run out of memory.
  local_bits = {"xla_tpu_spmd_rng_bit_generator_unsafe": True}
  tpu = mesh.devices.flat[0].platform == "tpu"
  return local_bits if tpu and options.dropout_rng == "rbg" else None


def make_eval_step(task: Task, mesh: Mesh) -> EvalStep:
  """Return the jitted (params, batch) → metrics, without dropout.

  Metrics are sums and weights. Added up over batches as small as training's
  micro-batches, they are those of one large batch, in the memory of a
  micro-batch. Like the train step, it refuses a batch that is not of the task's
  features.
  """

  def eval_step(params: Any, batch: Features) -> Metrics:
    check_batch(batch, task.features)
    with sharding.activate(mesh):
      # As in training: parameters that are sharded along `data` are gathered in
      # the dtype of compute.
      return task.losses(
        task.compute_copy(params),
        task.prepare(batch),
        rng=rng.stream(0, "evaluation", 0),
        deterministic=True,
      )

  return jax.jit(eval_step, out_shardings=sharding.replicated(mesh))
