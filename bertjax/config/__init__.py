# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every hyper-parameter of a run, declared once.

`configs/` derives its `ConfigDict`s from these dataclasses and `launch`
turns them back with `from_mapping`, so that a name means the same thing in a
flag, in a dataclass and in a checkpoint. Nothing here imports JAX.
"""

from bertjax.config.data import DataConfig
from bertjax.config.fields import check_read, check_types, choices
from bertjax.config.finetune import (
  FinetuneConfig,
  LayersConfig,
  LossConfig,
  TaskConfig,
)
from bertjax.config.mapping import (
  flatten_fields,
  from_mapping,
  nest,
  to_mapping,
)
from bertjax.config.model import SIZES, ComputeConfig, MeshConfig, ModelConfig
from bertjax.config.objective import PAIR_CLASSES, PAIR_FORMATS, ObjectiveConfig
from bertjax.config.optimizer import FinetuneOptimizerConfig, OptimizerConfig
from bertjax.config.run import (
  CheckpointConfig,
  EvaluationConfig,
  PhaseConfig,
  PretrainConfig,
  ProfileConfig,
  WandbConfig,
)
from bertjax.config.sweep import ProbesConfig, SweepConfig

__all__ = [
  "PAIR_CLASSES",
  "PAIR_FORMATS",
  "SIZES",
  "CheckpointConfig",
  "ComputeConfig",
  "DataConfig",
  "EvaluationConfig",
  "FinetuneConfig",
  "FinetuneOptimizerConfig",
  "LayersConfig",
  "LossConfig",
  "MeshConfig",
  "ModelConfig",
  "ObjectiveConfig",
  "OptimizerConfig",
  "PhaseConfig",
  "PretrainConfig",
  "ProbesConfig",
  "ProfileConfig",
  "SweepConfig",
  "TaskConfig",
  "WandbConfig",
  "check_read",
  "check_types",
  "choices",
  "flatten_fields",
  "from_mapping",
  "nest",
  "to_mapping",
]
