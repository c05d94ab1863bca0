# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A two-layer classifier small enough to test the machinery around it.

It is no encoder and compiles in a moment: for the loop, hooks and checkpoints.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax

from bertjax.batch import ENCODER_FEATURES, Feature
from bertjax.objectives.task import Task

WIDTH = 16
CLASSES = 4
FEATURES = {
  **ENCODER_FEATURES,
  "label_B": Feature("B", "int32"),
  "weight_B": Feature("B", "float32"),
}


class Toy(nn.Module):
  """Embeds the tokens of a row, mixes them, and tells one of four classes."""

  dropout_rate: float = 0.0

  @nn.compact
  def __call__(self, tokens_BS, *, deterministic):
    table = nn.with_logical_partitioning(
      nn.initializers.normal(1.0), ("vocab", "embed")
    )
    hidden_BSD = nn.Embed(32, WIDTH, embedding_init=table)(tokens_BS)
    hidden_BSD = nn.Dropout(self.dropout_rate)(
      hidden_BSD, deterministic=deterministic
    )
    kernel = nn.with_logical_partitioning(
      nn.initializers.lecun_normal(), ("embed", "mlp")
    )
    hidden_BSF = jnp.tanh(
      nn.Dense(32, use_bias=False, kernel_init=kernel)(hidden_BSD)
    )
    head = nn.with_logical_partitioning(
      nn.initializers.lecun_normal(), ("mlp", None)
    )
    logits = nn.Dense(CLASSES, use_bias=False, kernel_init=head)
    return logits(hidden_BSF.mean(axis=1))


def init_params(key):
  return Toy().init(
    {"params": key}, jnp.zeros((1, 8), jnp.int32), deterministic=True
  )["params"]


def task(dropout_rate=0.0):
  """Weighted cross-entropy: `weight_B` differs from row to row."""

  def losses(params, batch, *, rng, deterministic):
    logits_BC: Any = Toy(dropout_rate).apply(
      {"params": params},
      batch["tokens_BS"],
      deterministic=deterministic,
      rngs={"dropout": rng},
    )
    loss_B = optax.softmax_cross_entropy_with_integer_labels(
      logits_BC, batch["label_B"]
    )
    weight_B = batch["weight_B"]
    return {"toy_loss": (jnp.sum(loss_B * weight_B), jnp.sum(weight_B))}

  return Task(
    losses=losses,
    coefficients={"toy_loss": 1.0},
    weights=lambda batch: {"toy_loss": jnp.sum(batch["weight_B"])},
    features=FEATURES,
  )


def batch(step, rows=16, length=8):
  """Batch of `step`: a pure function of it, with unequal weights."""
  generator = np.random.Generator(np.random.Philox(key=step))
  tokens_BS = generator.integers(0, 32, (rows, length)).astype(np.int32)
  real_B = np.arange(rows) % 4 != 1
  return {
    "tokens_BS": tokens_BS,
    "types_BS": np.zeros_like(tokens_BS),
    "positions_BS": np.tile(np.arange(length, dtype=np.int32), (rows, 1)),
    "packs_BS": np.repeat(real_B[:, None], length, axis=1).astype(np.int32),
    "starts_BR": np.zeros((rows, 1), np.int32),
    "label_B": (tokens_BS[:, 0] % CLASSES).astype(np.int32),
    "weight_B": real_B * (1 + np.arange(rows) % 3).astype(np.float32),
  }


def batches(start):
  while True:
    yield batch(start)
    start += 1
