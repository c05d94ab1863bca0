# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pre-train BERT-family encoders in JAX and hand them to fine-tuning.

The names of a training script are here; `docs/library.md` shows one.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public names and where each is defined.
_HOMES = {
  "BertForPreTraining": "bertjax.model",
  "ComputeConfig": "bertjax.config",
  "MeshConfig": "bertjax.config",
  "ModelConfig": "bertjax.config",
  "ObjectiveConfig": "bertjax.config",
  "StepOptions": "bertjax.train.step",
  "Task": "bertjax.objectives.task",
  "Vocabulary": "bertjax.batch",
  "empty_batch": "bertjax.batch",
  "load_bundle": "bertjax.checkpoints.bundle",
  "load_classifier": "bertjax.finetune.classifier",
  "make_eval_step": "bertjax.train.step",
  "make_mesh": "bertjax.parallel.mesh",
  "make_state": "bertjax.train.state",
  "make_train_step": "bertjax.train.step",
  "num_slots": "bertjax.objectives.masking",
  "pretraining_task": "bertjax.objectives.pretraining",
  "put_batch": "bertjax.parallel.feeding",
}

# isort: off
if TYPE_CHECKING:  # the same for type checkers, which follow no table
  from bertjax.batch import Vocabulary as Vocabulary, empty_batch as empty_batch
  from bertjax.checkpoints.bundle import load_bundle as load_bundle
  from bertjax.config import (
    ComputeConfig as ComputeConfig,
    MeshConfig as MeshConfig,
    ModelConfig as ModelConfig,
    ObjectiveConfig as ObjectiveConfig,
  )
  from bertjax.finetune.classifier import load_classifier as load_classifier
  from bertjax.model import BertForPreTraining as BertForPreTraining
  from bertjax.objectives.masking import num_slots as num_slots
  from bertjax.objectives.pretraining import (
    pretraining_task as pretraining_task,
  )
  from bertjax.objectives.task import Task as Task
  from bertjax.parallel.feeding import put_batch as put_batch
  from bertjax.parallel.mesh import make_mesh as make_mesh
  from bertjax.train.state import make_state as make_state
  from bertjax.train.step import (
    StepOptions as StepOptions,
    make_eval_step as make_eval_step,
    make_train_step as make_train_step,
  )
# isort: on


def __getattr__(name: str) -> Any:
  # Lazy, so that importing the package costs nothing and needs no JAX.
  if name not in _HOMES:
    raise AttributeError(
      f"module 'bertjax' has no attribute {name!r}; it has "
      f"{', '.join(_HOMES)}, and modules such as bertjax.train.loop"
    )
  return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
  return sorted([*globals(), *_HOMES])
