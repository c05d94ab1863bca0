# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A step of fine-tuning: the one that `launch.finetune` trains with."""

from typing import Any

import jax
import numpy as np

from benchmarks import steps
from benchmarks.on_gpu.scale import Workload
from benchmarks.on_gpu.timing import median_step_seconds
from bertjax.batch import ENCODER_FEATURES
from bertjax.config import ComputeConfig, FinetuneConfig, MeshConfig
from bertjax.finetune import classification
from bertjax.finetune.programs import make_programs
from bertjax.parallel import feeding
from bertjax.parallel.mesh import make_mesh

_CLASSES = 8
_ROWS = 32  # of a batch, as fine-tuning has by default


def measure_finetuning(workload: Workload, budget: float) -> dict[str, Any]:
  """Return time and rate of a step that classifies full rows, in bfloat16.

  Args:
    workload: its model and length; the rows are those of fine-tuning.
    budget: seconds to spend, about.
  """
  rows, length = min(workload.rows, _ROWS), workload.seq_length
  mesh = make_mesh(MeshConfig(), jax.devices()[:1])
  config = FinetuneConfig(
    batch_size=rows,
    seq_length=length,
    compute=ComputeConfig(dtype="bfloat16", attention="xla", dropout_rng="rbg"),
  )
  programs = make_programs(
    classification.TASK, _CLASSES, workload.model, config, 1000, mesh
  )
  made = steps.make_batch(
    workload.model.vocab_size, length, steps.full_rows(rows, length)
  )
  features = {name: made[name] for name in ENCODER_FEATURES}
  features["label_BR"] = np.arange(rows, dtype=np.int32)[:, None] % _CLASSES
  features["weight_BR"] = np.ones((rows, 1), np.float32)
  batch = feeding.put_batch(features, mesh)
  state, step = programs.initialize(0), programs.train_step_of(0)
  seconds, metrics = median_step_seconds(step, state, batch, budget)
  return {
    "rows": rows,
    "ms": 1e3 * seconds,
    "examples_per_s": rows / seconds,
    "tokens_per_s": rows * length / seconds,
    "finite": bool(np.isfinite(float(metrics["loss"][0]))),
  }
