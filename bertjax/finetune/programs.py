# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What fine-tuning compiles, once for all learning rates, seeds and arms."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from bertjax.batch import (
  CLASSIFICATION_FEATURES,
  Batch,
  Feature,
  empty_batch,
)
from bertjax.config import (
  FinetuneConfig,
  ModelConfig,
  OptimizerConfig,
  TaskConfig,
)
from bertjax.config.checks import kernels
from bertjax.config.names import FINETUNING
from bertjax.finetune.rate import with_rate
from bertjax.model import BertForSequenceClassification
from bertjax.model.parameters import compute_copy
from bertjax.objectives.losses import classification_losses
from bertjax.objectives.metrics import Metrics
from bertjax.objectives.task import Features, Task
from bertjax.optim import make_optimizer, make_schedule
from bertjax.parallel import feeding, sharding
from bertjax.train.state import TrainState, abstract_state, make_initializer
from bertjax.train.step import StepOptions, TrainStep, make_train_step

# The step knows the step number but not the seed, which must be an input if
# one compiled step is to serve all seeds: it travels with the rows.
SEED = "seed_B"


@dataclasses.dataclass(frozen=True)
class Programs:
  """Compiled functions of one architecture and one schedule.

  Attributes:
    mesh: where they run.
    abstract: the state's shapes and shardings.
    initialize: seed → fresh state.
    train_step: for `loop.train`; its batches have the column SEED.
    logits: (params, placed batch) → `logits_BC`, on every device.
  """

  mesh: Mesh
  abstract: TrainState
  initialize: Callable[[int], TrainState]
  train_step: TrainStep
  logits: Callable[[Any, Features], jax.Array]


def make_programs(
  encoder: ModelConfig,
  num_classes: int,
  config: FinetuneConfig,
  steps: int,
  mesh: Mesh,
) -> Programs:
  """Return the functions that train and evaluate; compiles nothing.

  Equal arguments give the same functions, whatever rates, seeds and data
  `config` names: both arms of a comparison, and the probes of a sweep, are
  compiled once in a process.

  Args:
    encoder: shape of the encoder; its dropout rates are those of `config`.
    num_classes: of the head.
    config: how to train.
    steps: of every run, for the schedule.
    mesh: where to run.

  Raises:
    ValueError: a mesh that does not divide the parameters, or an unknown
      pooling, optimizer or schedule, or a kernel that the mesh does not have.
  """
  shared = dataclasses.replace(
    config,
    learning_rates=(),
    seed=0,
    seeds=0,
    selection_seeds=0,
    metric="",
    task=TaskConfig(),
  )
  return _make_programs(encoder, num_classes, shared, steps, mesh)


@functools.lru_cache(maxsize=4)
def _make_programs(
  encoder: ModelConfig,
  num_classes: int,
  config: FinetuneConfig,
  steps: int,
  mesh: Mesh,
) -> Programs:
  model = _make_model(encoder, num_classes, config, mesh)
  optimizer = _make_optimizer(config, steps)
  example = empty_batch(
    CLASSIFICATION_FEATURES,
    {"B": config.batch_size, "S": config.seq_length, "R": 1},
  )

  def init_params(key: jax.Array) -> Any:
    return model.init(key, example, deterministic=True)["params"]

  def logits(params: Any, batch: Features) -> jax.Array:
    with sharding.activate(mesh):
      logits_BC: Any = model.apply(
        {"params": params}, batch, deterministic=True
      )
    return logits_BC

  zero1 = config.mesh.zero1
  abstract = abstract_state(init_params, optimizer, mesh, zero1=zero1)
  return Programs(
    mesh=mesh,
    abstract=abstract,
    initialize=make_initializer(init_params, optimizer, mesh, zero1=zero1),
    train_step=make_train_step(
      _task(model),
      optimizer,
      mesh,
      abstract,
      StepOptions(
        accumulation=config.optimizer.accumulation,
        dropout_rng=config.compute.dropout_rng,
      ),
    ),
    logits=jax.jit(logits, out_shardings=sharding.replicated(mesh)),
  )


def place(batch: Batch, mesh: Mesh) -> dict[str, jax.Array]:
  """Put a whole batch on the devices, each process its own rows."""
  return feeding.put_batch(_own_rows(batch, mesh), mesh)


def with_seed(batch: Batch, seed: int, mesh: Mesh) -> Batch:
  """Return this process's rows of a batch, with the seed of its dropout."""
  seed_B = np.full(len(batch["weight_B"]), seed, np.uint32)
  return _own_rows({**batch, SEED: seed_B}, mesh)


def _own_rows(batch: Batch, mesh: Mesh) -> Batch:
  rows = feeding.local_rows(mesh, len(batch["weight_B"]))
  return {name: array[rows] for name, array in batch.items()}


def _make_model(
  encoder: ModelConfig, num_classes: int, config: FinetuneConfig, mesh: Mesh
) -> BertForSequenceClassification:
  encoder = dataclasses.replace(
    encoder,
    hidden_dropout_rate=config.hidden_dropout_rate,
    attention_dropout_rate=config.attention_dropout_rate,
  )
  compute = kernels.resolve(
    config.compute,
    encoder,
    mesh.devices.flat[0],
    config.seq_length,
    FINETUNING,
  )
  return BertForSequenceClassification(
    encoder, compute, num_classes=num_classes, pooling=config.pooling
  )


def _make_optimizer(
  config: FinetuneConfig, steps: int
) -> optax.GradientTransformation:
  optimizer = OptimizerConfig(
    **vars(config.optimizer),
    learning_rate=1.0,
    warmup_steps=round(config.warmup_rate * steps),
  )
  return with_rate(make_optimizer(optimizer, make_schedule(optimizer, steps)))


def _task(model: BertForSequenceClassification) -> Task:
  def losses(
    params: Any, batch: Features, *, rng: jax.Array, deterministic: bool
  ) -> Metrics:
    logits_BC: Any = model.apply(
      {"params": params},
      batch,
      deterministic=deterministic,
      rngs={"dropout": jax.random.fold_in(rng, batch[SEED][0])},
    )
    return classification_losses(logits_BC, batch["label_B"], batch["weight_B"])

  return Task(
    losses=losses,
    coefficients={"loss": 1.0},
    weights=lambda batch: {"loss": jnp.sum(batch["weight_B"])},
    features={**CLASSIFICATION_FEATURES, SEED: Feature("B", "uint32")},
    compute_copy=lambda params: compute_copy(params, model.compute.dtype),
  )
