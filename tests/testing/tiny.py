# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The real encoder at its smallest, with batches of unequal mask counts.

For train steps on every mesh: its vocabulary and rows divide by eight
devices, a batch is a pure function of the step, and dropout is off unless a
test asks for it. The model alone is tested with `examples`.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import (
  ENCODER_FEATURES,
  PRETRAINING_FEATURES,
  Vocabulary,
  empty_batch,
)
from bertjax.config import ComputeConfig, ModelConfig, ObjectiveConfig
from bertjax.model import BertForPreTraining
from bertjax.objectives import masking
from bertjax.objectives.pretraining import pretraining_task

TOKENS = 64
LENGTH = 16
PACKS = 2
ROWS = 16
CONFIG = ModelConfig(
  num_layers=2,
  hidden_size=32,
  num_heads=4,
  intermediate_size=64,
  vocab_size=TOKENS,
  max_positions=LENGTH,
  hidden_dropout_rate=0.0,
  attention_dropout_rate=0.0,
)
VOCABULARY = Vocabulary(
  *range(5),
  special_V=np.arange(TOKENS) < 5,
  continues_V=np.zeros(TOKENS, bool),
  ordinary_W=np.arange(5, TOKENS, dtype=np.int32),
  log_unigram_V=np.full(TOKENS, -np.log(TOKENS), np.float32),
)


def model(dropout_rate=0.0, compute=None):
  return BertForPreTraining(
    dataclasses.replace(
      CONFIG,
      hidden_dropout_rate=dropout_rate,
      attention_dropout_rate=dropout_rate,
    ),
    compute or ComputeConfig(),
  )


def init_params(key):
  return model().init(
    {"params": key},
    empty_batch(ENCODER_FEATURES, {"B": 1, "S": LENGTH, "R": 1}),
    jnp.zeros((1, 1), jnp.int32),
    deterministic=True,
  )["params"]


def params():
  """Parameters as numpy arrays; nothing is compiled for them."""
  generator = np.random.Generator(np.random.Philox(key=0))
  shapes = nn.meta.unbox(jax.eval_shape(init_params, jax.random.key(0)))

  def draw(path, leaf):
    if path[-1].key in ("bias", "scale"):
      return np.full(leaf.shape, path[-1].key == "scale", np.float32)
    return (0.02 * generator.normal(size=leaf.shape)).astype(np.float32)

  return jax.tree.map_with_path(draw, shapes)


def task(dropout_rate=0.0, objective=None, compute=None):
  objective = objective or ObjectiveConfig(mask_rate=0.3)
  slots = masking.num_slots(LENGTH, PACKS, objective.mask_rate)
  return pretraining_task(
    model(dropout_rate, compute), objective, VOCABULARY, slots=slots
  )


def batch(number):
  """The batch of a step, a pure function of it: two packs of odd lengths."""
  generator = np.random.Generator(np.random.Philox(key=number))
  made = empty_batch(PRETRAINING_FEATURES, {"B": ROWS, "S": LENGTH, "R": PACKS})
  made["tokens_BS"][:] = generator.integers(5, TOKENS, (ROWS, LENGTH))
  made["key_BR2"][:] = generator.integers(0, 2**32, (ROWS, PACKS, 2))
  for row in range(ROWS):
    first, second = generator.integers(4, 9, 2)
    spans = [(0, first, 1), (first, first + second, 2)]
    # Some rows hold one example, and one none at all.
    for start, end, pack in spans[: (2 if row % 3 else 1) if row else 0]:
      made["packs_BS"][row, start:end] = pack
      made["positions_BS"][row, start:end] = np.arange(end - start)
      made["types_BS"][row, start + 3 : end] = 1
      made["starts_BR"][row, pack - 1] = start
      made["tokens_BS"][row, start] = 2
      made["pair_label_BR"][row, pack - 1] = generator.integers(2)
  made["tokens_BS"][made["packs_BS"] == 0] = 0
  return made


def batches(start):
  while True:
    yield batch(start)
    start += 1
