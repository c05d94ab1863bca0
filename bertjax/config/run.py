# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The config of a pre-training run: its phases, checkpoints and evaluation."""

import dataclasses
from typing import Annotated, Any, Literal

from bertjax.config.data import DataConfig, Length
from bertjax.config.fields import Above, AtLeast, Below, ReadWhen, Seed
from bertjax.config.model import ComputeConfig, MeshConfig, ModelConfig
from bertjax.config.objective import MaskRate, ObjectiveConfig
from bertjax.config.optimizer import OptimizerConfig

Period = Annotated[int, AtLeast(0)]
_InPhase2 = ReadWhen("{}steps above 0", lambda own, _: own.steps > 0)


def _has_schedule(phase: Any, _: Any) -> bool:
  return phase.steps > 0 and phase.learning_rate > 0


@dataclasses.dataclass(frozen=True)
class PhaseConfig:
  """A second phase at another length, in the same run; steps=0 turns it off.

  A batch size or an accumulation of 0 takes the value of the first phase. With
  a learning rate, each phase has a schedule over its own steps; with 0, the
  schedule of the first phase continues over all steps.
  """

  steps: Annotated[int, AtLeast(0)] = 0  # the last of the run's `steps`
  seq_length: Annotated[Length, _InPhase2] = 512
  max_packs: Annotated[int, AtLeast(0), _InPhase2] = 0  # as `data.max_packs`
  batch_size: Annotated[int, AtLeast(0), _InPhase2] = 0
  accumulation: Annotated[int, AtLeast(0), _InPhase2] = 0
  learning_rate: Annotated[float, AtLeast(0), _InPhase2] = 0.0
  warmup_steps: Annotated[
    int,
    AtLeast(0),
    ReadWhen("{0}steps and {0}learning_rate above 0", _has_schedule),
  ] = 0


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
  """When state is saved, and which checkpoints are kept."""

  every_steps: Period = 1_000  # 0 saves at the end only
  keep_last: Annotated[int, AtLeast(1)] = 3
  # Checkpoints at multiples of this are never deleted; 0 turns this off.
  keep_every_steps: Period = 0
  # Shares of the steps after which a bundle is written as well, below `bundles`
  # of the workdir, with an evaluation of its own.
  bundles_at: tuple[Annotated[float, Above(0), Below(1)], ...] = ()


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
  """Periodic evaluation on the validation split, with fixed masks."""

  every_steps: Period = 1_000  # 0 evaluates at the end only
  # At most, of each store, drawn evenly from its split; 0 takes all of them.
  rows: Annotated[int, AtLeast(0)] = 8_192
  # BERT's rate, whatever the run trains with, so that runs can be compared.
  mask_rate: MaskRate = 0.15
  # Further stores that are evaluated beside the run's own, as PATH,PATH or
  # NAME=PATH,NAME=PATH: what a continued run forgets, or gains elsewhere.
  stores: str = ""


@dataclasses.dataclass(frozen=True)
class ProfileConfig:
  """Which steps are traced, into `WORKDIR/profile`, for xprof to show."""

  # The first step to trace, counted from 1; 0 traces none.
  start_step: Annotated[int, AtLeast(0)] = 0
  steps: Annotated[
    int,
    AtLeast(1),
    ReadWhen("{}start_step above 0", lambda own, _: own.start_step > 0),
  ] = 5


_WithProject = ReadWhen("{}project", lambda own, _: bool(own.project))


@dataclasses.dataclass(frozen=True)
class WandbConfig:
  """Metrics to Weights & Biases as well; needs the package wandb."""

  project: str = ""  # without one, nothing is written there
  entity: Annotated[str, _WithProject] = ""  # "" is the user's own
  # "" is the last two names of the workdir.
  name: Annotated[str, _WithProject] = ""
  # Offline writes into the workdir, for `wandb sync`.
  mode: Annotated[Literal["online", "offline"], _WithProject] = "online"


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
  """One pre-training run."""

  steps: Annotated[int, AtLeast(1)] = 1_000_000
  # Rows of the global batch, over all devices and micro-batches.
  batch_size: Annotated[int, AtLeast(1)] = 256
  # The most positions of a micro-batch on one device: a phase whose
  # accumulation is not given has the fewest equal micro-batches that fit. 0 is
  # no limit.
  positions_per_device: Annotated[int, AtLeast(0)] = 0
  seed: Seed = 0
  init_from: str = ""  # a bundle, for continued pre-training
  # Identity fields that a rerun may change (law 10), and rotary bases that may
  # differ from those of `init_from`.
  allow_changes: str = ""
  log_every_steps: Annotated[int, AtLeast(1)] = 10
  # Minutes without a step, after which a run exits with 42, to be started
  # again; the first step of a phase may take four times as long. 0 waits.
  hang_minutes: Annotated[float, AtLeast(0)] = 60.0
  model: ModelConfig = ModelConfig()
  objective: ObjectiveConfig = ObjectiveConfig()
  data: DataConfig = DataConfig()
  optimizer: OptimizerConfig = OptimizerConfig()
  phase2: PhaseConfig = PhaseConfig()
  mesh: MeshConfig = MeshConfig()
  compute: ComputeConfig = ComputeConfig()
  checkpoint: CheckpointConfig = CheckpointConfig()
  evaluation: EvaluationConfig = EvaluationConfig()
  profile: ProfileConfig = ProfileConfig()
  wandb: WandbConfig = WandbConfig()
