# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of noise that tell their class, and a trial that learns them."""

import dataclasses

import jax
import numpy as np

from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.config import (
  FinetuneConfig,
  FinetuneOptimizerConfig,
  ModelConfig,
)
from bertjax.finetune.classification import TASK
from bertjax.finetune.programs import make_programs
from bertjax.finetune.splits import make_split
from bertjax.finetune.trial import TrialInputs
from bertjax.parallel.mesh import make_mesh
from data_pipelines.tasks.batches import TaskBatches
from data_pipelines.tasks.classification import make_targets

STEPS = 60
LENGTH = 8
CLASSES = 3
MODEL = ModelConfig(
  num_layers=2,
  hidden_size=32,
  num_heads=2,
  intermediate_size=64,
  vocab_size=64,
  max_positions=LENGTH,
  initializer_std=0.08,
)
CONFIG = FinetuneConfig(
  batch_size=16,
  evaluation_batch_size=24,
  evaluations=3,
  metric="accuracy",
  seq_length=LENGTH,
  warmup_rate=0.25,
  optimizer=FinetuneOptimizerConfig(name="adamw_corrected"),
)


def examples(count, seed, row_length=LENGTH, *, pack=False, values=None):
  """Rows of noise of many lengths; three tokens tell the class.

  `values` has what an example of each class is labeled with, if not with it.
  """
  generator = np.random.default_rng(seed)
  rows = empty_batch(ENCODER_FEATURES, {"B": count, "S": LENGTH, "R": 1})
  labels_N = generator.integers(0, CLASSES, count).astype(np.int32)
  lengths_N = generator.integers(5, LENGTH + 1, count)
  real_NS = np.arange(LENGTH) < lengths_N[:, None]
  rows["tokens_BS"][...] = generator.integers(16, 64, (count, LENGTH))
  rows["tokens_BS"][:, 1:4] = 10 + labels_N[:, None]
  rows["tokens_BS"][~real_NS] = 0
  rows["positions_BS"][...] = np.where(real_NS, np.arange(LENGTH), 0)
  rows["packs_BS"][...] = real_NS
  wider = ((0, 0), (0, row_length - LENGTH))
  rows = {
    name: np.pad(array, wider) if name.endswith("_BS") else array
    for name, array in rows.items()
  }
  if values is not None:
    labels_N = values[labels_N]
  return TaskBatches(rows, make_targets(labels_N), pack=pack)


def make_inputs(config, devices=1, task=TASK, values=None):
  mesh = make_mesh(config.mesh, jax.devices()[:devices])
  programs = make_programs(task, CLASSES, MODEL, config, STEPS, mesh)
  train = examples(96, 0, values=values)
  dev, test = (
    make_split(
      examples(30, seed, values=values),
      programs,
      config.evaluation_batch_size,
    )
    for seed in (1, 2)
  )
  return TrialInputs(
    programs=programs,
    start=programs.initialize,
    train=lambda seed, step: train.training(
      seed=seed, step=step, batch_size=config.batch_size
    ),
    dev=dev,
    test=test,
    steps=STEPS,
  )


class Killed(Exception):
  pass


def dying(inputs, at):
  """Inputs whose batch of step `at` ends the process."""

  def train(seed, step):
    if step == at:
      raise Killed
    return inputs.train(seed, step)

  return dataclasses.replace(inputs, train=train)


def stopping(after):
  """A signal that comes after some questions."""
  asked = iter(range(10**6))
  return lambda: next(asked) >= after
