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
is 2he + 2eV. Layers that share weights count each.

Where a kernel attends within windows, the sᵢ² pairs of an example are only
those inside its windows, in the layers that have one. Without a kernel every
pair is computed, and those outside of a window are masked: so all count.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.config.model import has_windows

# Names of the metrics that `count` returns, the last one for windows only.
COUNTS = ("tokens", "attended", "examples", "attended_locally")


def kernel_reach(model: ModelConfig, compute: ComputeConfig) -> int | None:
  """Return how far windows reach, on either side, if a kernel has them.

  Args:
    model: shape of the encoder.
    compute: with the kernel that was chosen for the devices.

  Returns:
    None if the pairs outside of windows, if any, are computed as well.
  """
  if has_windows(model) and compute.attention in ("splash", "flash"):
    return model.attention_window // 2
  return None


def count(
  batch: Mapping[str, Any], reach: int | None = None
) -> dict[str, jax.Array]:
  """Return counts of a batch, float32, without its padding.

  They are `tokens`, `attended` (Σsᵢ²) and `examples`, and with a `reach`
  `attended_locally`, the pairs of an example that are at most so far apart.
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
  counts = {
    "tokens": jnp.sum(lengths_BR),
    "attended": jnp.sum(lengths_BR * lengths_BR),
    "examples": jnp.sum(lengths_BR > 0, dtype=jnp.int32).astype(jnp.float32),
  }
  if reach is not None:
    pairs_BR = pairs_within(jnp.minimum(lengths_BR, reach + 1), lengths_BR)
    counts["attended_locally"] = jnp.sum(pairs_BR)
  return counts


def pairs_within(near: Any, length: Any) -> Any:
  """Return the pairs of an example that are less than `near` apart.

  Σᵢ of the positions within `near` - 1 on either side of i and inside.

  Args:
    near: at most `length`.
    length: tokens of the example.
  """
  return (2 * near - 1) * length - near * (near - 1)


def train_flops(
  model: ModelConfig, counts: Mapping[str, float], predictions: float
) -> float:
  """Return the FLOPs of one train step; see `forward_flops`."""
  return 3 * forward_flops(model, counts, predictions)


def forward_flops(
  model: ModelConfig, counts: Mapping[str, float], predictions: float
) -> float:
  """Return the FLOPs of one forward pass, of training or evaluation.

  Args:
    model: shape of the encoder.
    counts: the values of `count`, as numbers; without `attended_locally`, every
      layer computes all pairs of an example.
    predictions: number of positions that reached the vocabulary projection.
  """
  hidden, width = model.hidden_size, model.embedding_width
  kernels = 3 if model.feed_forward == "gated" else 2
  layer = 8 * hidden**2 + 2 * kernels * hidden * model.intermediate_size
  layer *= counts["tokens"]
  layer += 4 * hidden * counts["attended"]
  layers = model.num_layers * layer
  if "attended_locally" in counts:
    spared = counts["attended"] - counts["attended_locally"]
    layers -= (model.num_layers - global_layers(model)) * 4 * hidden * spared
  head = predictions * (2 * hidden * width + 2 * width * model.vocab_size)
  pooler = counts["examples"] * 2 * hidden**2 if model.pooler else 0.0
  projection = counts["tokens"] * 2 * width * hidden
  below = projection if model.embedding_size else 0.0
  return layers + head + pooler + below


def global_layers(model: ModelConfig) -> int:
  """Return the number of layers that attend to whole examples."""
  if not has_windows(model):
    return model.num_layers
  return -(-model.num_layers // model.global_every)


def counts_of_lengths(
  lengths_N: Any, numbers_N: Any, reach: int | None = None
) -> dict[str, float]:
  """Return the `count` of `numbers_N` examples of each of `lengths_N`."""
  lengths_N = np.asarray(lengths_N, np.float64)
  near_N = lengths_N if reach is None else np.minimum(lengths_N, reach + 1)
  values = {
    "tokens": lengths_N,
    "attended": lengths_N**2,
    "examples": lengths_N > 0,
    "attended_locally": pairs_within(near_N, lengths_N),
  }
  if reach is None:
    del values["attended_locally"]
  return {
    name: float(np.dot(value_N, numbers_N)) for name, value_N in values.items()
  }


def full_counts(
  rows: int, seq_length: int, max_packs: int = 1, reach: int | None = None
) -> dict[str, float]:
  """Return the `count` of rows without padding and with equal examples."""
  length, number = seq_length / max_packs, rows * max_packs
  return counts_of_lengths([length], [number], reach)
