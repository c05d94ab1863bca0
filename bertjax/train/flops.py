# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Model FLOPs of a step, without padding.

The convention: only matrix products count, a multiplication and an addition are
two FLOPs, backward is twice forward, and neither padding nor recomputation
counts:

  F_fwd = L·(24·s·h² + 4·Σsᵢ²·h) + m·(2h² + 2hV) + 2h² an example (pooler)

for s tokens in examples of sᵢ tokens and m predictions; 24h² is 8h² + 4hf if
the feed-forward width f is not 4h, and 8h² + 6hf if it is gated. With
embeddings of a width e, s·2eh is added for their projection, and a prediction
is 2he + 2eV. Layers that share weights count each. Attention with windows
counts as without: without a kernel, every pair of an example is computed, and
those outside of a window are masked.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bertjax.config import ModelConfig

# Names of the metrics that `count` returns.
COUNTS = ("tokens", "attended", "examples")


def count(batch: Mapping[str, Any]) -> dict[str, jax.Array]:
  """Return `tokens`, `attended` (Σsᵢ²) and `examples` of a batch, float32.

  Padding is not counted.
  """
  packs_BS = batch["packs_BS"]
  num_packs = batch["starts_BR"].shape[1]
  lengths_BR = jnp.stack(
    [
      jnp.sum(packs_BS == pack, axis=1, dtype=jnp.int32)
      for pack in range(1, num_packs + 1)
    ],
    axis=1,
  ).astype(jnp.float32)
  return {
    "tokens": jnp.sum(lengths_BR),
    "attended": jnp.sum(lengths_BR * lengths_BR),
    "examples": jnp.sum(lengths_BR > 0, dtype=jnp.int32).astype(jnp.float32),
  }


def train_flops(
  model: ModelConfig, counts: Mapping[str, float], predictions: float
) -> float:
  """Return the FLOPs of one train step.

  Args:
    model: shape of the encoder.
    counts: the values of `count`, as numbers.
    predictions: number of positions that reached the vocabulary projection.
  """
  hidden, width = model.hidden_size, model.embedding_width
  kernels = 3 if model.feed_forward == "gated" else 2
  layer = 8 * hidden**2 + 2 * kernels * hidden * model.intermediate_size
  layer *= counts["tokens"]
  layer += 4 * hidden * counts["attended"]
  head = predictions * (2 * hidden * width + 2 * width * model.vocab_size)
  pooler = counts["examples"] * 2 * hidden**2 if model.pooler else 0.0
  projection = counts["tokens"] * 2 * width * hidden
  below = projection if model.embedding_size else 0.0
  return 3 * (model.num_layers * layer + head + pooler + below)


def full_counts(
  rows: int, seq_length: int, max_packs: int = 1
) -> dict[str, float]:
  """Return the `count` of rows without padding and with equal examples."""
  return {
    "tokens": float(rows * seq_length),
    "attended": rows * seq_length**2 / max_packs,
    "examples": float(rows * max_packs),
  }
