# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a pre-training config compiles to, on devices at hand or elsewhere.

A run and a plan of it share this, so that what is planned is what runs.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from bertjax import optim
from bertjax.batch import (
  ENCODER_FEATURES,
  PRETRAINING_FEATURES,
  Vocabulary,
  empty_batch,
)
from bertjax.config import ComputeConfig, ObjectiveConfig, PretrainConfig
from bertjax.config.checks import kernels
from bertjax.config.names import PRETRAINING, FieldNames
from bertjax.config.phases import split_phases
from bertjax.model import BertForPreTraining
from bertjax.objectives import losses, masking
from bertjax.objectives.pretraining import pretraining_task
from bertjax.objectives.task import Task
from bertjax.parallel import sharding
from bertjax.parallel.mesh import make_mesh
from bertjax.train import step
from bertjax.train.state import TrainState, abstract_state, make_state


@dataclasses.dataclass(frozen=True)
class Program:
  """Model, mesh and optimizer of a run, and the steps made of them.

  Where a method takes a `config`, it is that of a phase of the run, with
  `data.max_packs` filled in.

  Attributes:
    config: of the run, with the model's vocabulary filled in.
    vocabulary: of its tokenizer.
    model: a module without parameters.
    mesh: where it runs.
    schedule: step → learning rate.
    optimizer: with what no loss reaches left alone.
  """

  config: PretrainConfig
  vocabulary: Vocabulary
  model: BertForPreTraining
  mesh: Mesh
  schedule: optax.Schedule
  optimizer: optax.GradientTransformation

  def init_params(self, key: jax.Array) -> Any:
    """Return fresh parameters, boxed with their logical axes."""
    sizes = {"B": 1, "S": self.config.data.seq_length, "R": 1}
    return self.model.init(
      {"params": key},
      empty_batch(ENCODER_FEATURES, sizes),
      jnp.zeros((1, 1), jnp.int32),
      deterministic=True,
    )["params"]

  def abstract_state(self) -> TrainState:
    """Return the state as shapes, dtypes and shardings."""
    return abstract_state(
      self.init_params,
      self.optimizer,
      self.mesh,
      zero1=self.config.mesh.zero1,
    )

  def make_state(self) -> TrainState:
    """Return the fresh state of the run's seed, born sharded."""
    return make_state(
      self.init_params,
      self.optimizer,
      self.mesh,
      seed=self.config.seed,
      zero1=self.config.mesh.zero1,
    )

  def abstract_batch(self, config: PretrainConfig) -> dict[str, Any]:
    """Return a global batch as shapes, dtypes and shardings."""
    sizes = {
      "B": config.batch_size,
      "S": config.data.seq_length,
      "R": config.data.max_packs,
    }
    place = sharding.batch_sharding(self.mesh)
    return {
      name: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=place)
      for name, array in empty_batch(PRETRAINING_FEATURES, sizes).items()
    }

  def task(self, config: PretrainConfig, objective: ObjectiveConfig) -> Task:
    """Return what is learnt, or evaluated."""
    slots = masking.num_slots(
      config.data.seq_length, config.data.max_packs, objective.mask_rate
    )
    model = self.model.clone(compute=_compute(config, self.mesh))
    return pretraining_task(model, objective, self.vocabulary, num_slots=slots)

  def train_step(self, config: PretrainConfig, abstract: Any) -> step.TrainStep:
    """Return the jitted train step for a state like `abstract`."""
    return step.make_train_step(
      self.task(config, config.objective),
      self.optimizer,
      self.mesh,
      abstract,
      step.StepOptions(
        seed=config.seed,
        accumulation=config.optimizer.accumulation,
        dropout_rng=config.compute.dropout_rng,
        schedule=self.schedule,
      ),
    )


def make_program(
  config: PretrainConfig,
  vocabulary: Vocabulary,
  devices: Sequence[Any] | None = None,
) -> Program:
  """Build everything of a checked config; compiles nothing.

  Args:
    config: with the model's vocabulary filled in.
    vocabulary: of the tokenizer.
    devices: that the mesh is laid over; None takes all of this process.

  Raises:
    ValueError: a mesh that these devices do not make up, or a kernel that
      they do not have.
  """
  mesh = make_mesh(config.mesh, devices)
  for phase in split_phases(config):
    _compute(phase.config, mesh, phase.names)
  schedule = optim.make_run_schedule(
    config.optimizer, config.phase2, config.steps
  )
  return Program(
    config=config,
    vocabulary=vocabulary,
    model=BertForPreTraining(config.model, config.compute),
    mesh=mesh,
    schedule=schedule,
    optimizer=optim.make_optimizer(
      config.optimizer,
      schedule,
      inactive=losses.inactive_parameters(config.objective),
    ),
  )


def _compute(
  config: PretrainConfig, mesh: Mesh, names: FieldNames = PRETRAINING
) -> ComputeConfig:
  """How a phase is computed: with the kernel of its length and devices."""
  return kernels.resolve(
    config.compute,
    config.model,
    mesh.devices.flat[0],
    config.data.seq_length,
    names,
  )
