# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The pure train and evaluation steps, of any task.

A task gives its losses as {name: (sum, weight)}. The weights of the whole
global batch are known before the batch is cut for devices and micro-batches,
and each part differentiates Σₖ coefficientₖ · sumₖ / Wₖ(global): the sum of
the parts then equals the large batch, however unequal the mask counts are
(law 4).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from bertjax.batch import Vocabulary
from bertjax.config import ObjectiveConfig
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import compute_copy
from bertjax.objectives import losses as objectives
from bertjax.objectives import masking
from bertjax.objectives.metrics import Metrics
from bertjax.parallel import sharding
from bertjax.train import flops, gradients, rng
from bertjax.train.state import TrainState, shardings_of

# Names to arrays, or to trees of arrays, with the rows as first axis.
Features = Mapping[str, Any]
TrainStep = Callable[[TrainState, Any], tuple[TrainState, Metrics]]
EvalStep = Callable[[Any, Any], Metrics]


class LossFunction(Protocol):
  """Losses and accuracies of some rows, as sums and weights."""

  def __call__(
    self, params: Any, batch: Features, *, rng: jax.Array, deterministic: bool
  ) -> Metrics:
    """Return {name: (sum, weight)}; `rng` is the key of dropout."""
    ...


def unchanged(tree: Any) -> Any:
  """Return a batch that needs no preparation, or parameters as they are."""
  return tree


@dataclasses.dataclass(frozen=True)
class Task:
  """What is learnt.

  Attributes:
    losses: of some rows, with names beyond `coefficients` only reported.
    coefficients: of the losses that are differentiated.
    weights: global batch → the weight of each of these losses.
    prepare: global batch → what `losses` and `weights` read (masking).
    compute_copy: parameters → the same in the dtypes that `losses` reads.
  """

  losses: LossFunction
  coefficients: Mapping[str, float]
  weights: Callable[[Features], Mapping[str, jax.Array]]
  prepare: Callable[[Features], Features] = unchanged
  compute_copy: Callable[[Any], Any] = unchanged


@dataclasses.dataclass(frozen=True)
class StepOptions:
  """How a train step is run.

  Attributes:
    seed: of dropout.
    accumulation: micro-batches that a batch is cut into.
    dropout_rng: "threefry" or "rbg" (law 1).
    schedule: step → learning rate, to report; None reports none.
  """

  seed: int = 0
  accumulation: int = 1
  dropout_rng: str = "threefry"
  schedule: Callable[[jax.Array], Any] | None = None


def make_train_step(
  task: Task,
  optimizer: optax.GradientTransformation,
  mesh: Mesh,
  abstract: TrainState,
  options: StepOptions,
) -> TrainStep:
  """Return the jitted step (state, batch) → (state, metrics).

  Rows are numbered before anything cuts the batch (`rows_B`). The state is
  donated. `abstract` is the state's shapes and shardings, or the
  state itself. Metrics are the task's, and as (value, 1): `loss`, `grad_norm`
  (before clipping), `learning_rate` where a schedule is given, what
  `flops.count` counts, and `packing_efficiency`, the share of positions that
  are no padding.
  """
  shardings = shardings_of(abstract)
  differentiate = gradients.make_gradients(
    task.losses,
    task.coefficients,
    mesh,
    shardings.params,
    compute_copy=task.compute_copy,
    accumulation=options.accumulation,
  )

  def train_step(
    state: TrainState, batch: Features
  ) -> tuple[TrainState, Metrics]:
    with sharding.activate(mesh):
      prepared = task.prepare(batch)
      key = rng.stream(
        options.seed,
        "dropout",
        state.step,
        implementation=options.dropout_rng,
      )
      (total, metrics), grads = differentiate(
        state.params, _numbered(prepared), task.weights(prepared), key
      )
      grads = jax.lax.with_sharding_constraint(grads, shardings.params)
      updates, opt_state = optimizer.update(
        grads, state.opt_state, state.params
      )
      params = optax.apply_updates(state.params, updates)
    values = {"loss": total, "grad_norm": optax.tree.norm(grads)}
    if options.schedule is not None:
      rate = options.schedule(state.step)
      values["learning_rate"] = jnp.asarray(rate, jnp.float32)
    metrics = {**metrics, **_of_batch(batch, values)}
    return TrainState(state.step + 1, params, opt_state), metrics

  return jax.jit(
    train_step,
    donate_argnums=0,
    in_shardings=(shardings, sharding.batch_sharding(mesh)),
    out_shardings=(shardings, sharding.replicated(mesh)),
    compiler_options=_compiler_options(mesh, options),
  )


def _of_batch(batch: Features, values: Mapping[str, jax.Array]) -> Metrics:
  """Return `values` and what is counted in a batch, as metrics."""
  counts = flops.count(batch)
  one = jnp.ones((), jnp.float32)
  metrics = {name: (value, one) for name, value in {**values, **counts}.items()}
  positions = jnp.float32(batch["packs_BS"].size)
  metrics["packing_efficiency"] = (counts["tokens"], positions)
  return metrics


def _compiler_options(
  mesh: Mesh, options: StepOptions
) -> dict[str, bool] | None:
  # Without it every chip draws the random bits of the whole batch, in time
  # and in memory, and 256 chips run out of it.
  local_bits = {"xla_tpu_spmd_rng_bit_generator_unsafe": True}
  tpu = mesh.devices.flat[0].platform == "tpu"
  return local_bits if tpu and options.dropout_rng == "rbg" else None


def make_eval_step(task: Task, mesh: Mesh) -> EvalStep:
  """Return the jitted (params, batch) → metrics, without dropout."""

  def eval_step(params: Any, batch: Features) -> Metrics:
    with sharding.activate(mesh):
      return task.losses(
        params,
        task.prepare(batch),
        rng=rng.stream(0, "evaluation", 0),
        deterministic=True,
      )

  return jax.jit(eval_step, out_shardings=sharding.replicated(mesh))


def pretraining_task(
  model: BertForPreTraining,
  objective: ObjectiveConfig,
  vocabulary: Vocabulary,
  *,
  num_slots: int,
) -> Task:
  """Return masked language modelling with the pair loss of `objective`.

  Args:
    model: whose losses these are.
    objective: what is masked and which losses count.
    vocabulary: of the store.
    num_slots: prediction slots a row; see `masking.num_slots`.
  """

  def prepare(batch: Features) -> Features:
    masked = masking.mask_tokens(
      batch, vocabulary, objective, num_slots=num_slots
    )
    return {**batch, "tokens_BS": masked.tokens_BS, "masked": masked}

  def losses(
    params: Any, batch: Features, *, rng: jax.Array, deterministic: bool
  ) -> Metrics:
    outputs: Any = model.apply(
      {"params": params},
      batch,
      batch["masked"].positions_BP,
      deterministic=deterministic,
      rngs={"dropout": rng},
    )
    return objectives.pretraining_losses(
      outputs,
      batch["masked"],
      batch["pair_label_BR"],
      objective,
      vocabulary.log_unigram_V,
    )

  return Task(
    losses=losses,
    coefficients=objectives.coefficients(objective),
    weights=lambda batch: objectives.pretraining_weights(
      batch["masked"], batch["pair_label_BR"], objective
    ),
    prepare=prepare,
    compute_copy=lambda params: compute_copy(params, model.compute.dtype),
  )


def _numbered(batch: Features) -> Features:
  """Add `rows_B`, where each row stands in the global batch."""
  rows = batch["packs_BS"].shape[0]
  return {**batch, "rows_B": jnp.arange(rows, dtype=jnp.uint32)}
