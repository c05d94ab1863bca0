# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every hyper-parameter of a run, declared once.

`configs/` derives its `ConfigDict`s from these dataclasses and `launch`
turns them back with `from_mapping`, so that a name means the same thing in a
flag, in a dataclass and in a checkpoint. Nothing here imports JAX.
"""

from bertjax.config.finetuning import (
  POOLINGS,
  FinetuneConfig,
  TaskConfig,
)
from bertjax.config.mapping import (
  from_mapping,
  to_mapping,
)
from bertjax.config.model import (
  SIZES,
  ComputeConfig,
  MeshConfig,
  ModelConfig,
)
from bertjax.config.pretraining import (
  INPUT_FORMATS,
  MASK_UNITS,
  NEXT_SENTENCE,
  OPTIMIZERS,
  PAIR_FORMATS,
  RANDOM_TOKENS,
  SCHEDULES,
  CheckpointConfig,
  DataConfig,
  EvaluationConfig,
  ObjectiveConfig,
  OptimizerConfig,
  PhaseConfig,
  PretrainConfig,
  ProfileConfig,
)
from bertjax.config.sweep import (
  SweepConfig,
)

__all__ = [
  "INPUT_FORMATS",
  "MASK_UNITS",
  "NEXT_SENTENCE",
  "OPTIMIZERS",
  "PAIR_FORMATS",
  "POOLINGS",
  "RANDOM_TOKENS",
  "SCHEDULES",
  "SIZES",
  "CheckpointConfig",
  "ComputeConfig",
  "DataConfig",
  "EvaluationConfig",
  "FinetuneConfig",
  "MeshConfig",
  "ModelConfig",
  "ObjectiveConfig",
  "OptimizerConfig",
  "PhaseConfig",
  "PretrainConfig",
  "ProfileConfig",
  "SweepConfig",
  "TaskConfig",
  "from_mapping",
  "to_mapping",
]
