# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a user can get wrong in a fine-tuning run, told before it starts.

Nothing here imports JAX.
"""

import math

from bertjax.config import (
  FinetuneConfig,
  ModelConfig,
  OptimizerConfig,
  check_read,
  check_types,
  checks,
)

# What a run starts from: a bundle's weights, or fresh ones of its shape.
INITS = ("bundle", "scratch")


def check_config(
  config: FinetuneConfig, encoder: ModelConfig, vocab_size: int
) -> None:
  """Refuse a run that cannot be.

  Args:
    config: of the run.
    encoder: what is fine-tuned.
    vocab_size: of the tokenizer.

  Raises:
    ValueError: what is wrong, and what may be given.
  """
  check_types(config)
  check_read(config)
  _check_rates(config)
  optimizer = OptimizerConfig(
    **vars(config.optimizer), learning_rate=1.0, warmup_steps=0
  )
  checks.check_optimizer(optimizer, steps=1)
  if config.seq_length > encoder.max_positions:
    raise ValueError(
      f"seq_length={config.seq_length} is beyond the {encoder.max_positions} "
      f"positions of this encoder; give {encoder.max_positions} or less"
    )
  if vocab_size > encoder.vocab_size:
    raise ValueError(
      f"the tokenizer has {vocab_size} pieces and the encoder's table "
      f"{encoder.vocab_size}; give the bundle with its own tokenizer"
    )
  if not config.steps and not config.epochs:
    raise ValueError(
      f"steps={config.steps}, epochs={config.epochs}; give steps, or steps=0 "
      "and epochs above 0"
    )


def check_shards(config: FinetuneConfig, shards: int) -> None:
  """Refuse batches that a mesh cannot cut into equal parts.

  Raises:
    ValueError: a batch size that data × fsdp = `shards` does not divide.
  """
  for name in ("batch_size", "evaluation_batch_size"):
    size = vars(config)[name]
    if size % shards:
      raise ValueError(
        f"{name}={size} is not divided by data × fsdp = {shards}; give a "
        f"multiple of {shards}"
      )
  accumulation = config.optimizer.accumulation
  if config.batch_size % (shards * accumulation):
    raise ValueError(
      f"batch_size={config.batch_size} is not divided by {shards} shards × "
      f"optimizer.accumulation={accumulation}; give a multiple"
    )


def check_init(init: str) -> None:
  """Refuse what is no way to start.

  Raises:
    ValueError: `init` is not in INITS.
  """
  if init not in INITS:
    raise ValueError(f"init={init!r}; give one of {INITS}")


def num_steps(config: FinetuneConfig, num_examples: int) -> int:
  """Steps of a run: as given, or of so many epochs, the last step full."""
  epochs = math.ceil(config.epochs * num_examples / config.batch_size)
  return config.steps or epochs


def _check_rates(config: FinetuneConfig) -> None:
  rates = config.learning_rates
  if not rates:
    raise ValueError(
      f"learning_rates={rates!r}; give one or more, as (1e-4, 3e-4)"
    )
  if len(set(rates)) < len(rates):
    raise ValueError(f"learning_rates={rates}: one is there twice")
