# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pre-train BERT-family encoders in JAX and hand them to fine-tuning.

The names of a training script are here; `docs/library.md` shows one.
"""

import importlib
from typing import Any

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
  "make_eval_step": "bertjax.train.step",
  "make_mesh": "bertjax.parallel.mesh",
  "make_state": "bertjax.train.state",
  "make_train_step": "bertjax.train.step",
  "num_slots": "bertjax.objectives.masking",
  "pretraining_task": "bertjax.objectives.pretraining",
  "put_batch": "bertjax.parallel.feeding",
}


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
