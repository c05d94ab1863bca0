# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Word, position and type embeddings, summed, normalised and dropped out."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.spmd import with_logical_constraint

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.layers import Dropout, LayerNorm, sinusoids, weights
from bertjax.model.ops.functions import look_up
from bertjax.model.ops.random_bits import row_numbers

POSITION_INITS = {"normal": weights, "sinusoid": sinusoids}


class Embeddings(nn.Module):
  """Tokens → the encoder's input (Devlin et al., 2018, section 3)."""

  config: ModelConfig
  compute: ComputeConfig

  def setup(self) -> None:
    """Make the three tables."""
    init = POSITION_INITS[self.config.position_init]
    self.word = self._table(self.config.vocab_size, "vocab")
    self.position = self._table(self.config.max_positions, None, init)
    self.type = self._table(self.config.type_vocab_size, None)
    self.layer_norm = LayerNorm(
      self.config.layer_norm_epsilon, self.compute.dtype
    )
    self.dropout = Dropout(self.config.hidden_dropout_rate)

  def _table(
    self, size: int, axis: str | None, init: Any = weights
  ) -> nn.Embed:
    return nn.Embed(
      size,
      self.config.hidden_size,
      dtype=jnp.dtype(self.compute.dtype),
      embedding_init=init(self.config, (axis, "embed")),
    )

  def __call__(
    self, features: Mapping[str, jax.Array], *, deterministic: bool
  ) -> jax.Array:
    """Return `hidden_BSD`."""
    hidden_BSD = (
      look_up(self._rows(self.word), features["tokens_BS"])
      + look_up(self._rows(self.position), features["positions_BS"])
      + pick_few(self._rows(self.type), features["types_BS"])
    )
    return self.dropout(
      self.layer_norm(hidden_BSD),
      row_numbers(features),
      deterministic=deterministic,
    )

  def _rows(self, table: nn.Embed) -> jax.Array:
    # The table is gathered first, in the dtype of compute: cut, it would give
    # every device its part of every row of the batch, far more to move where
    # it is the width. Where it is the vocabulary, the partitioner of jaxlib
    # 0.12 dies of a look-up inside a map over `data`.
    return with_logical_constraint(
      table.embedding.astype(self.compute.dtype), (None, None)
    )


def pick_few(table_VD: jax.Array, ids: jax.Array) -> jax.Array:
  """Return table[ids] of a table of a few rows, to the bit.

  By a product: added to two rows, the gradients of a batch would wait for
  each other (google-research/bert, modeling.py, for the way forward). It is
  one of float32 both ways, since XLA's CPU sums bfloat16 as it likes.
  """
  picks = jax.nn.one_hot(ids, table_VD.shape[0], dtype=jnp.float32)
  found = jnp.einsum(
    "...V,VD->...D",
    picks,
    table_VD.astype(jnp.float32),
    precision=jax.lax.Precision.HIGHEST,
  )
  return found.astype(table_VD.dtype)
