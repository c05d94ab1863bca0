# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the fine-tuning and the probes of a trial compute, before it runs.

Model FLOPs of the encoder, as `bertjax.train.flops` counts them.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bertjax.batch import SplitData, TaskData
from bertjax.config import FinetuneConfig, ModelConfig, SweepConfig
from bertjax.finetune import checks
from bertjax.train import flops
from launch.sweep.frozen import PROBES


class Tuning(NamedTuple):
  """The fine-tuning of a bundle, or the sum over several tasks.

  Attributes:
    steps: of one run.
    flops: of all runs, with their scores on dev and test.
  """

  steps: int = 0
  flops: float = 0.0


def tuning_cost(
  tuned: FinetuneConfig, model: ModelConfig, data: TaskData
) -> Tuning:
  """Return what it costs to fine-tune a bundle for a task.

  Every run takes all steps and trains all layers: `patience` and frozen layers
  make it cheaper.

  Args:
    tuned: how to fine-tune.
    model: shape of the encoder.
    data: the data of the task.
  """
  train = data.splits["train"]
  steps = checks.num_steps(tuned, train.num_drawn)
  epochs = steps * tuned.batch_size / train.num_drawn
  run = 3 * epochs * _forward(tuned, model, train)
  run += min(tuned.evaluations, steps) * _forward(
    tuned, model, data.splits["dev"]
  )
  if "test" in data.splits:
    run += _forward(tuned, model, data.splits["test"])
  # Those that choose the learning rate count among the seeds of the chosen one.
  runs = len(tuned.learning_rates) * tuned.selection_seeds
  runs += max(0, tuned.seeds - tuned.selection_seeds)
  return Tuning(steps, runs * run)


def probe_flops(
  config: SweepConfig,
  models: Mapping[str, ModelConfig],
  tuning: Mapping[str, Tuning],
) -> dict[str, float]:
  """Return the FLOPs of all probes of a trial of each arm.

  Args:
    config: an expanded config of a study that pre-trains.
    models: shape of the encoder of each arm.
    tuning: what it costs to fine-tune a bundle of each arm.
  """
  return {
    arm: len(config.probes.at)
    * (
      each.flops
      + sum(
        probe.flops(config, models[arm])
        for probe in PROBES.values()
        if probe.wanted(config.probes)
      )
    )
    for arm, each in tuning.items()
  }


def _forward(
  tuned: FinetuneConfig, model: ModelConfig, split: SplitData
) -> float:
  """Return the FLOPs of a forward pass over all windows of a split."""
  counts = flops.counts_of_lengths(
    split.length_N,
    np.ones(len(split.length_N)),
    flops.kernel_reach(model, tuned.compute),
  )
  return flops.forward_flops(model, counts, predictions=0)
