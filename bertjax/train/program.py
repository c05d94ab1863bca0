# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A pre-training config as jitted steps, on these devices or planned ones.

A run and its plan share this module, so that the plan compiles the steps that
run.
"""

import contextlib
import contextvars
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
from jax.sharding import Mesh

from bertjax import optim
from bertjax.batch import Vocabulary, empty_batch
from bertjax.config import ObjectiveConfig, PretrainConfig
from bertjax.config.accumulation import micro_batch_size
from bertjax.model.parameters import PAIR_HEAD, POOLER
from bertjax.objectives import masking, pretraining
from bertjax.objectives.task import Task
from bertjax.parallel import sharding
from bertjax.parallel.mesh import make_mesh
from bertjax.train import flops, step
from bertjax.train.state import TrainState, abstract_state, make_initializer

# Fields of an objective that say what a masked row looks like.
_MASK_FIELDS = (
  "mask_rate",
  "mask_unit",
  "max_ngram",
  "mask_token_rate",
  "random_token_rate",
  "random_tokens",
)
# Functions that runs share, by what they depend on; None outside of `sharing`.
_functions: contextvars.ContextVar[dict[Any, Any] | None] = (
  contextvars.ContextVar("functions", default=None)
)
# Three functions a phase: to initialize, to train and to evaluate.
_KEPT = 48


@dataclasses.dataclass(frozen=True)
class Program:
  """Model, mesh and optimizer of a run.

  Attributes:
    config: config of the run, with the size of the model's vocabulary.
    vocabulary: tables over the tokenizer's vocabulary.
    model: a module without parameters.
    mesh: the devices of the run.
    schedule: step → learning rate.
    optimizer: does not change the parameters that no loss reaches.
  """

  config: PretrainConfig
  vocabulary: Vocabulary
  model: nn.Module
  mesh: Mesh
  schedule: optim.Schedule
  optimizer: optax.GradientTransformation

  def init_params(self, key: jax.Array) -> Any:
    """Return fresh parameters, boxed with their logical axes."""
    return pretraining.init_params(self.model, self.config.data.seq_length, key)

  def abstract_state(self) -> TrainState:
    """Return the state as shapes, dtypes and shardings."""
    return self._abstract_state

  # Traced once: a start asks for it in each phase, and in each check of memory.
  @functools.cached_property
  def _abstract_state(self) -> TrainState:
    return abstract_state(
      self.init_params, self.optimizer, self.mesh, zero1=self.config.mesh.zero1
    )

  def make_state(self) -> TrainState:
    """Return the fresh state of the run's seed, created sharded."""
    initialize = _shared(
      "initialize",
      self,
      self.config,
      lambda: make_initializer(
        self.init_params,
        self.optimizer,
        self.mesh,
        zero1=self.config.mesh.zero1,
      ),
    )
    return initialize(self.config.seed)

  def for_phase(self, config: PretrainConfig) -> "PhaseProgram":
    """Make the steps of a phase, given as `PhaseProgram.config`."""
    return PhaseProgram(self, config)


@dataclasses.dataclass(frozen=True)
class PhaseProgram:
  """The steps of one phase of a run.

  Attributes:
    program: program of the run.
    config: config of the phase, with `data.max_packs` and with the `compute`
      that `config.checks.open_choices.resolve` chose for the devices.
  """

  program: Program
  config: PretrainConfig

  @property
  def evaluation_batch_size(self) -> int:
    """Rows of a batch of evaluation: a micro-batch of training.

    A step of evaluation then fits wherever a train step does, and a signal to
    stop is heard between two of them.
    """
    return micro_batch_size(self.config)

  def abstract_batch(self, batch_size: int = 0) -> dict[str, Any]:
    """Return a batch as shapes, dtypes and shardings; 0 rows: a global one."""
    data = self.config.data
    rows = batch_size or self.config.batch_size
    batch = empty_batch(
      pretraining.FEATURES,
      {"B": rows, "S": data.seq_length, "R": data.max_packs},
    )
    spread = sharding.batch_sharding(self.program.mesh)
    return {
      name: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=spread)
      for name, array in batch.items()
    }

  def task(self, objective: ObjectiveConfig | None = None) -> Task:
    """Return the task of the phase, or that of another objective."""
    objective = objective or self.config.objective
    data, program = self.config.data, self.program
    compute = self.config.compute
    assert compute.attention != "auto", "the config is not resolved"
    return pretraining.pretraining_task(
      program.model.clone(compute=compute),
      objective,
      program.vocabulary,
      slots=masking.num_slots(
        data.seq_length, data.max_packs, objective.mask_rate
      ),
    )

  def evaluation_task(self) -> Task:
    """Return the task of evaluation, whose masks do not depend on training's.

    Rows are masked by the defaults of `ObjectiveConfig`, with the rate of
    `evaluation`, however the run trains, so that runs can be compared.
    """
    defaults = ObjectiveConfig(mask_rate=self.config.evaluation.mask_rate)
    return self.task(
      dataclasses.replace(
        self.config.objective,
        **{name: getattr(defaults, name) for name in _MASK_FIELDS},
      )
    )

  # Made once, so that a step that was compiled to be judged is not compiled
  # again: JAX keeps what it compiled with the jitted function.
  @functools.cached_property
  def eval_step(self) -> step.EvalStep:
    """The jitted step of evaluation."""
    return _shared(
      "evaluate",
      self.program,
      self.config,
      lambda: step.make_eval_step(self.evaluation_task(), self.program.mesh),
    )

  @functools.cached_property
  def train_step(self) -> step.RunStep:
    """The jitted train step, with the run's seed and schedule as inputs."""
    jitted = _shared("train", self.program, self.config, self._make_train_step)
    program = self.program
    return step.RunStep(
      jitted, self.config.seed, program.schedule.numbers, program.mesh
    )

  def _make_train_step(self) -> step.TrainStep:
    return step.make_train_step(
      self.task(),
      self.program.optimizer,
      self.program.mesh,
      self.program.abstract_state(),
      step.StepOptions(
        seed=None,
        folded=False,
        accumulation=self.config.optimizer.accumulation,
        dropout_rng=self.config.compute.dropout_rng,
        gradient_dtype=self.config.compute.gradient_dtype,
        schedule=self.program.schedule,
        scheduled=True,
        reach=flops.kernel_reach(self.config.model, self.config.compute),
        # Layers that share a kernel would each gather it.
        gather_in_loop=not self.config.model.layer_groups,
      ),
    )


@contextlib.contextmanager
def sharing() -> Iterator[None]:
  """Have runs of equal shape share compiled functions.

  They differ in what the functions take as inputs: seeds, and the numbers of
  schedules, such as learning rates, warm-ups and steps.

  Functions of the last runs are kept as long as the context is open.
  """
  token = _functions.set({})
  try:
    yield
  finally:
    _functions.reset(token)


def _shared(
  name: str, program: Program, config: PretrainConfig, make: Callable[[], Any]
) -> Any:
  """Return a jitted function that no input changes, kept inside `sharing`."""
  functions = _functions.get()
  if functions is None:
    return make()
  key = (
    name,
    without_inputs(program.config),
    without_inputs(config),
    jax.tree.structure(program.schedule.numbers),
    program.mesh,
    _fingerprint(program.vocabulary),
  )
  found = functions.pop(key) if key in functions else make()
  functions[key] = found  # the newest is the last
  while len(functions) > _KEPT:
    del functions[next(iter(functions))]
  return found


def without_inputs(config: PretrainConfig) -> PretrainConfig:
  """Return a config without the fields that the functions take as inputs.

  Nor those that only say which rows there are: static masks follow from the
  keys of their examples.
  """
  return dataclasses.replace(
    config,
    seed=0,
    steps=1,
    objective=dataclasses.replace(config.objective, static_copies=0),
    optimizer=dataclasses.replace(
      config.optimizer, learning_rate=1.0, warmup_steps=0, decay_rate=1.0
    ),
    phase2=dataclasses.replace(
      config.phase2,
      steps=int(config.phase2.steps > 0),
      learning_rate=0.0,
      warmup_steps=0,
    ),
  )


def _fingerprint(vocabulary: Vocabulary) -> str:
  """Return a hash of the tables that are constants of the steps."""
  digest = hashlib.sha256()
  for value in vars(vocabulary).values():
    digest.update(np.asarray(value).tobytes() if value is not None else b"-")
  return digest.hexdigest()


def make_program(
  config: PretrainConfig,
  vocabulary: Vocabulary,
  devices: Sequence[Any] | None = None,
) -> Program:
  """Return the program of a checked config; compiles nothing.

  Args:
    config: config of the run, with the size of the model's vocabulary.
    vocabulary: tables over the tokenizer's vocabulary.
    devices: devices of the mesh; None takes all.

  Raises:
    ValueError: a mesh that does not fit the devices.
  """
  mesh = make_mesh(config.mesh, devices)
  schedule = optim.make_run_schedule(
    config.optimizer, config.phase2, config.steps
  )
  return Program(
    config=config,
    vocabulary=vocabulary,
    model=pretraining.make_model(
      config.model, config.compute, config.objective
    ),
    mesh=mesh,
    schedule=schedule,
    optimizer=optim.make_optimizer(
      config.optimizer,
      schedule,
      inactive=_inactive_parts(config),
    ),
  )


def _inactive_parts(config: PretrainConfig) -> tuple[str, ...]:
  """Return the parts of the model's parameters that no loss reaches."""
  absent = () if config.model.pooler else (POOLER, PAIR_HEAD)
  parts = pretraining.inactive_parts(config.objective)
  return tuple(part for part in parts if part not in absent)
