# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The compiled functions of fine-tuning, shared by all rates, seeds and arms.

Learning rate and seed are inputs of the compiled step. Every transform after
the gradient is linear in the learning rate, so an optimizer for a rate of 1
whose updates are scaled by a number in its state is the optimizer of that
rate.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from bertjax.batch import Batch, empty_batch
from bertjax.config import (
  ComputeConfig,
  FinetuneConfig,
  FinetuneOptimizerConfig,
  LayersConfig,
  LossConfig,
  MeshConfig,
  ModelConfig,
  OptimizerConfig,
)
from bertjax.config.checks import open_choices
from bertjax.config.names import FINETUNING
from bertjax.finetune.task import FinetuneTask
from bertjax.model.encoder import Frozen
from bertjax.model.parameters import compute_copy
from bertjax.objectives import task as objectives
from bertjax.objectives.metrics import Metrics
from bertjax.objectives.task import Features
from bertjax.optim import make_optimizer, make_schedule
from bertjax.optim.layerwise import scale_by_layer
from bertjax.parallel import feeding, sharding
from bertjax.train.state import TrainState, abstract_state, make_initializer
from bertjax.train.step import StepOptions, TrainStep, make_train_step

_RATE = "step_size"  # the argument of optax.scale


class _Fields(NamedTuple):
  """The fields of `FinetuneConfig` that compiled functions read; no others."""

  batch_size: int
  seq_length: int
  pooling: str
  warmup_rate: float
  hidden_dropout_rate: float
  attention_dropout_rate: float
  loss: LossConfig
  layers: LayersConfig
  optimizer: FinetuneOptimizerConfig
  mesh: MeshConfig
  compute: ComputeConfig


@dataclasses.dataclass(frozen=True)
class Programs:
  """Compiled functions of one task, architecture and schedule.

  Attributes:
    task: kind of task.
    mesh: devices of the functions.
    abstract: shapes and shardings of the state.
    initialize: seed → fresh state.
    train_step: (state, batch, seed of dropout) → (state, metrics).
    joint_step: the same of several runs at once, as `train.joint` stacks them.
    outputs: (params, placed batch) → the model's outputs, on every device.
  """

  task: FinetuneTask
  mesh: Mesh
  abstract: TrainState
  initialize: Callable[[int], TrainState]
  train_step: TrainStep
  joint_step: TrainStep
  outputs: Callable[[Any, Features], Any]

  def place(self, params: Any) -> Any:
    """Return parameters with the shardings of the mesh."""
    return jax.tree.map(
      lambda leaf, like: jax.device_put(leaf, like.sharding),
      params,
      self.abstract.params,
    )

  def train_step_of(self, seed: int) -> TrainStep:
    """Return the train step of a run, with its seed on the devices."""
    placed = self.place_seed(seed)
    return lambda state, batch: self.train_step(state, batch, placed)

  def joint_step_of(self, seeds: Sequence[int]) -> TrainStep:
    """Return the train step of several runs, with their seeds."""
    placed = self.place_seed(seeds)
    return lambda state, batch: self.joint_step(state, batch, placed)

  def place_seed(self, seed: int | Sequence[int]) -> jax.Array:
    """Return the seed of a run, or of several, on the devices."""
    return jax.device_put(
      np.asarray(seed, np.uint32), sharding.replicated(self.mesh)
    )


def make_programs(
  task: FinetuneTask,
  num_labels: int,
  encoder: ModelConfig,
  config: FinetuneConfig,
  steps: int,
  mesh: Mesh,
) -> Programs:
  """Return the functions that train and evaluate; compile nothing.

  Equal arguments give the same functions, whatever `config` has in a field that
  they do not read, such as rates, seeds, data and evaluations. Both arms of a
  comparison, and the probes of a sweep, are compiled once per process.

  Args:
    task: kind of task.
    num_labels: number of classes.
    encoder: shape of the encoder; `config` replaces its dropout rates.
    config: how to train.
    steps: number of steps of every run, for the schedule.
    mesh: devices to run on.

  Raises:
    ValueError: the mesh does not divide the parameters, or does not have the
      kernel that `config` asks for.
  """
  read = _Fields(**{name: getattr(config, name) for name in _Fields._fields})
  return _make_programs(task, num_labels, encoder, read, steps, mesh)


@functools.lru_cache(maxsize=4)
def _make_programs(
  task: FinetuneTask,
  num_labels: int,
  encoder: ModelConfig,
  config: _Fields,
  steps: int,
  mesh: Mesh,
) -> Programs:
  model = _make_model(task, num_labels, encoder, config, mesh)
  optimizer = _make_optimizer(config, encoder.num_layers, steps)
  example = empty_batch(
    task.features,
    {"B": config.batch_size, "S": config.seq_length, "R": 1, "C": num_labels},
  )

  def init_params(key: jax.Array) -> Any:
    return model.init(key, example, deterministic=True)["params"]

  def outputs(params: Any, batch: Features) -> Any:
    with sharding.activate(mesh):
      return model.apply({"params": params}, batch, deterministic=True)

  zero1 = config.mesh.zero1
  abstract = abstract_state(init_params, optimizer, mesh, zero1=zero1)
  objective = _objective(task, model, config.loss)
  options = StepOptions(
    seed=None,
    accumulation=config.optimizer.accumulation,
    dropout_rng=config.compute.dropout_rng,
    gradient_dtype=config.compute.gradient_dtype,
  )
  joint = dataclasses.replace(options, joint=True)
  return Programs(
    task=task,
    mesh=mesh,
    abstract=abstract,
    initialize=make_initializer(init_params, optimizer, mesh, zero1=zero1),
    train_step=make_train_step(objective, optimizer, mesh, abstract, options),
    joint_step=make_train_step(objective, optimizer, mesh, abstract, joint),
    outputs=jax.jit(outputs, out_shardings=sharding.replicated(mesh)),
  )


def local_part(batch: Batch, mesh: Mesh) -> Batch:
  """Return the rows of a global batch that this process supplies."""
  rows = feeding.local_rows(mesh, len(batch["packs_BS"]))
  return {name: array[rows] for name, array in batch.items()}


def set_learning_rate(state: TrainState, learning_rate: float) -> TrainState:
  """Return the state of a run with this learning rate."""
  inner, scale = state.opt_state
  old = scale.hyperparams[_RATE]
  new = jax.device_put(np.float32(learning_rate), old.sharding)
  scale = scale._replace(hyperparams={_RATE: new})
  return TrainState(state.step, state.params, (inner, scale))


def with_learning_rate(
  optimizer: optax.GradientTransformation,
) -> optax.GradientTransformation:
  """Scale the updates of `optimizer`, which is made for a rate of 1."""
  return optax.chain(
    optimizer, optax.inject_hyperparams(optax.scale)(step_size=1.0)
  )


def _make_model(
  task: FinetuneTask,
  num_labels: int,
  encoder: ModelConfig,
  config: _Fields,
  mesh: Mesh,
) -> Any:
  encoder = dataclasses.replace(
    encoder,
    hidden_dropout_rate=config.hidden_dropout_rate,
    attention_dropout_rate=config.attention_dropout_rate,
  )
  compute = open_choices.resolve(
    config.compute,
    encoder,
    list(mesh.devices.flat),
    config.seq_length,
    FINETUNING,
  )
  model = task.make_model(
    encoder, compute, num_labels=num_labels, pooling=config.pooling
  )
  layers = config.layers
  embeddings = layers.frozen_embeddings or layers.frozen > 0
  return model.clone(frozen=Frozen(embeddings, layers.frozen))


def _make_optimizer(
  config: _Fields, num_layers: int, steps: int
) -> optax.GradientTransformation:
  optimizer = OptimizerConfig(
    **vars(config.optimizer),
    learning_rate=1.0,
    warmup_steps=round(config.warmup_rate * steps),
  )
  made = make_optimizer(optimizer, make_schedule(optimizer, steps))
  if config.layers != LayersConfig():
    made = optax.chain(made, scale_by_layer(config.layers, num_layers, steps))
  return with_learning_rate(made)


def _objective(
  task: FinetuneTask, model: Any, loss: LossConfig
) -> objectives.Task:
  options = {name: getattr(loss, name) for name in task.loss_options}

  def losses(
    params: Any, batch: Features, *, rng: jax.Array, deterministic: bool
  ) -> Metrics:
    outputs = model.apply(
      {"params": params},
      batch,
      deterministic=deterministic,
      rngs={"dropout": rng},
    )
    return task.losses(outputs, batch, **options)

  return objectives.Task(
    losses=losses,
    coefficients=task.coefficients,
    weights=task.weights,
    features=task.features,
    compute_copy=lambda params: compute_copy(params, model.compute.dtype),
  )
