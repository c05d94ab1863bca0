# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a fine-tuning run before it starts."""

import dataclasses
import math
from collections.abc import Sequence

from bertjax.config import (
  FinetuneConfig,
  LayersConfig,
  ModelConfig,
  OptimizerConfig,
  check_read,
  check_types,
  checks,
)
from bertjax.config.model import drops
from bertjax.finetune.task import FinetuneTask

# What a run starts from: the parameters of a bundle, or random ones.
INITS = ("bundle", "scratch")


def check_config(
  config: FinetuneConfig,
  task: FinetuneTask,
  encoder: ModelConfig,
  vocab_size: int,
) -> None:
  """Refuse a run that cannot work.

  Args:
    config: how to train.
    task: kind of task.
    encoder: shape of the encoder.
    vocab_size: number of tokens of the tokenizer.

  Raises:
    ValueError: a field has a value that cannot be used; the message says
      which values can be.
  """
  check_types(config)
  check_read(config)
  checks.check_dropout(config)
  _check_rates(config)
  _check_at_once(config)
  # `learning_rates` and `warmup_rate` take the place of these two fields.
  optimizer = OptimizerConfig(
    **vars(config.optimizer), learning_rate=1.0, warmup_steps=0
  )
  checks.check_optimizer(optimizer, steps=1)
  if not task.pools and config.pooling != FinetuneConfig.pooling:
    raise ValueError(
      f"pooling={config.pooling!r} has no effect: {task.name} pools nothing; "
      f"give {FinetuneConfig.pooling!r}"
    )
  _check_loss(config, task)
  if config.metric not in {"", *task.metrics}:
    raise ValueError(
      f"metric={config.metric!r}; {task.name} has {', '.join(task.metrics)}"
    )
  _check_layers(config, encoder)
  if config.seq_length > encoder.max_positions:
    raise ValueError(
      f"seq_length={config.seq_length} is beyond the {encoder.max_positions} "
      f"positions of this encoder; give {encoder.max_positions} or less"
    )
  if vocab_size > encoder.vocab_size:
    raise ValueError(
      f"the tokenizer has {vocab_size} tokens and the encoder's table "
      f"{encoder.vocab_size}; give the bundle with its own tokenizer"
    )
  if not config.steps and not config.epochs:
    raise ValueError(
      f"steps={config.steps}, epochs={config.epochs}; give steps, or steps=0 "
      "and epochs above 0"
    )


def with_metric(config: FinetuneConfig, task: FinetuneTask) -> FinetuneConfig:
  """Return the config with the task's first metric if it names none."""
  return dataclasses.replace(config, metric=config.metric or task.metrics[0])


def check_metric(metric: str, labels: Sequence[str]) -> None:
  """Refuse a score that the classes of a task do not have.

  Raises:
    ValueError: F1 of one of two classes is asked for, and there are others.
  """
  if metric == "f1" and len(labels) != 2:
    raise ValueError(
      f"metric={metric!r} is that of the second of two classes, and the task "
      f"has {len(labels)}; give 'macro_f1'"
    )


def check_shards(config: FinetuneConfig, shards: int) -> None:
  """Refuse batches that a mesh cannot divide into equal parts.

  Raises:
    ValueError: data × fsdp = `shards` does not divide a batch size.
  """
  for name in ("batch_size", "evaluation_batch_size"):
    size = vars(config)[name]
    if size % shards:
      raise ValueError(
        f"{name}={size} cannot be divided by data × fsdp = {shards}; give a "
        f"multiple of {shards}"
      )
  accumulation = config.optimizer.accumulation
  if config.batch_size % (shards * accumulation):
    raise ValueError(
      f"batch_size={config.batch_size} cannot be divided by {shards} shards × "
      f"optimizer.accumulation={accumulation}; give a multiple"
    )


def check_init(init: str) -> None:
  """Refuse an unknown `init`.

  Raises:
    ValueError: `init` is not in INITS.
  """
  if init not in INITS:
    raise ValueError(f"init={init!r}; give one of {', '.join(INITS)}")


def num_steps(config: FinetuneConfig, num_drawn: int) -> int:
  """Return the number of steps: `steps`, or enough for `epochs`."""
  epochs = math.ceil(config.epochs * num_drawn / config.batch_size)
  return config.steps or epochs


def check_layers(config: FinetuneConfig, init: str) -> None:
  """Refuse layers that would stay random, or that start anew anyway.

  Raises:
    ValueError: the run begins from random parameters, and layers are frozen or
      made anew.
  """
  for name in ("frozen", "frozen_embeddings", "reinitialized"):
    value = vars(config.layers)[name]
    if init == "scratch" and value:
      raise ValueError(
        f"layers.{name}={value!r} is for the layers of a bundle, and "
        "init=scratch has random ones; give 0"
      )


def must_run_alone(config: FinetuneConfig) -> bool:
  """Return whether a run draws other dropout beside others than alone.

  Threefry maps over keys one by one; what rbg draws for a key depends on the
  keys beside it.
  """
  return config.compute.dropout_rng == "rbg" and drops(config)


def _check_at_once(config: FinetuneConfig) -> None:
  if config.runs_at_once > 1 and must_run_alone(config):
    raise ValueError(
      f"runs_at_once={config.runs_at_once}, and dropout of compute.dropout_rng="
      "'rbg' depends on which runs are beside a run; give 'threefry', or "
      "runs_at_once=1"
    )


def _check_layers(config: FinetuneConfig, encoder: ModelConfig) -> None:
  usual = LayersConfig(frozen_embeddings=config.layers.frozen_embeddings)
  if encoder.layer_groups and config.layers != usual:
    name, value = next(
      (name, value)
      for name, value in vars(config.layers).items()
      if value != vars(usual)[name]
    )
    raise ValueError(
      f"layers.{name}={value!r} tells layers apart, and those of this encoder "
      f"share their weights; give {vars(usual)[name]!r}"
    )
  for name in ("frozen", "reinitialized"):
    count = vars(config.layers)[name]
    if count > encoder.num_layers:
      raise ValueError(
        f"layers.{name}={count}, and this encoder has {encoder.num_layers} "
        f"layers; give {encoder.num_layers} or fewer"
      )
  layers = config.layers
  if layers.frozen + layers.reinitialized > encoder.num_layers:
    raise ValueError(
      f"layers.frozen={layers.frozen} and layers.reinitialized="
      f"{layers.reinitialized} overlap in an encoder of {encoder.num_layers} "
      f"layers: random layers would stay random; give {encoder.num_layers} or "
      "less in all"
    )


def _check_loss(config: FinetuneConfig, task: FinetuneTask) -> None:
  for name, value in vars(config.loss).items():
    if name not in task.loss_options and value:
      known = ", ".join(task.loss_options) or "no field of loss"
      raise ValueError(
        f"loss.{name}={value!r} has no effect: {task.name} reads {known}; "
        "give 0"
      )


def _check_rates(config: FinetuneConfig) -> None:
  rates = config.learning_rates
  if not rates:
    raise ValueError(
      f"learning_rates={rates!r}; give one or more, as (1e-4, 3e-4)"
    )
  if len(set(rates)) < len(rates):
    raise ValueError(
      f"learning_rates={rates}: a rate occurs twice; give each one once"
    )
