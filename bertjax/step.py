# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The pure train and evaluation steps, of any task.

A task gives its losses as {name: (sum, weight)}. The weights of the whole
global batch are known before the batch is cut into micro-batches, and each of
these differentiates Σₖ coefficientₖ · sumₖ / Wₖ(global): accumulation then
equals the large batch, however unequal the mask counts are (law 4).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from bertjax import flops, masking, objectives, rng, sharding
from bertjax.batch import Vocabulary
from bertjax.config import ObjectiveConfig
from bertjax.metrics import Metrics
from bertjax.state import TrainState, shardings_of

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


def unchanged(batch: Features) -> Features:
  """Return a batch that needs no preparation."""
  return batch


@dataclasses.dataclass(frozen=True)
class Task:
  """What is learnt.

  Attributes:
    losses: of some rows, with names beyond `coefficients` only reported.
    coefficients: of the losses that are differentiated.
    weights: global batch → the weight of each of these losses.
    prepare: global batch → what `losses` and `weights` read (masking).
  """

  losses: LossFunction
  coefficients: Mapping[str, float]
  weights: Callable[[Features], Mapping[str, jax.Array]]
  prepare: Callable[[Features], Features] = unchanged


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

  The state is donated. `abstract` is the state's shapes and shardings, or the
  state itself. Metrics are the task's, and as (value, 1): `loss`, `grad_norm`
  (before clipping), `learning_rate` where a schedule is given, what
  `flops.count` counts, and `packing_efficiency`, the share of positions that
  are no padding.
  """
  shardings = shardings_of(abstract)

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
      grads, metrics = _gradients(
        task, state.params, prepared, key, options.accumulation
      )
      grads = jax.lax.with_sharding_constraint(grads, shardings.params)
      updates, opt_state = optimizer.update(
        grads, state.opt_state, state.params
      )
      params = optax.apply_updates(state.params, updates)
    one = jnp.ones((), jnp.float32)
    metrics["grad_norm"] = (optax.tree.norm(grads), one)
    if options.schedule is not None:
      rate = jnp.asarray(options.schedule(state.step), jnp.float32)
      metrics["learning_rate"] = (rate, one)
    counts = flops.count(batch)
    for name, value in counts.items():
      metrics[name] = (value, one)
    positions = jnp.float32(batch["packs_BS"].size)
    metrics["packing_efficiency"] = (counts["tokens"], positions)
    return TrainState(state.step + 1, params, opt_state), metrics

  return jax.jit(
    train_step,
    donate_argnums=0,
    in_shardings=(shardings, sharding.batch_sharding(mesh)),
    out_shardings=(shardings, sharding.replicated(mesh)),
  )


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
  model: nn.Module,
  objective: ObjectiveConfig,
  vocabulary: Vocabulary,
  *,
  num_slots: int,
) -> Task:
  """Return masked language modelling with the pair loss of `objective`.

  Args:
    model: a `BertForPreTraining`.
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
  )


def _gradients(
  task: Task, params: Any, batch: Features, key: jax.Array, accumulation: int
) -> tuple[Any, Metrics]:
  """Gradients and metrics of the global batch."""
  weights = task.weights(batch)

  def objective(
    params: Any, rows: Features, key: jax.Array
  ) -> tuple[jax.Array, Metrics]:
    metrics = task.losses(params, rows, rng=key, deterministic=False)
    total = objectives.weighted_total(metrics, weights, task.coefficients)
    return total, metrics

  differentiate = jax.value_and_grad(objective, has_aux=True)

  def accumulate(carry: Any, part: Any) -> tuple[Any, None]:
    index, rows = part
    result = differentiate(params, rows, jax.random.fold_in(key, index))
    return jax.tree.map(jnp.add, carry, result), None

  if accumulation == 1:
    (total, metrics), grads = differentiate(params, batch, key)
  else:
    parts = (
      jnp.arange(accumulation, dtype=jnp.uint32),
      jax.tree.map(lambda array: _split(array, accumulation), batch),
    )
    first = jax.tree.map(lambda leaf: leaf[0], parts)
    zeros = jax.tree.map(
      lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
      jax.eval_shape(differentiate, params, first[1], key),
    )
    ((total, metrics), grads), _ = jax.lax.scan(accumulate, zeros, parts)
  return grads, {**metrics, "loss": (total, jnp.ones((), jnp.float32))}


def _split(array: jax.Array, parts: int) -> jax.Array:
  """[B, ...] → [parts, B / parts, ...].

  Micro-batch i takes every parts-th row: each device then cuts the rows that
  it holds, and none travel.
  """
  rows, *rest = array.shape
  cut = array.reshape(rows // parts, parts, *rest).swapaxes(0, 1)
  spec = jax.sharding.PartitionSpec(None, sharding.BATCH_AXES)
  return jax.lax.with_sharding_constraint(cut, spec)
