# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The sum of word, position and type embeddings, normalized."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.spmd import with_logical_constraint

from bertjax.config import ComputeConfig, ModelConfig, choices
from bertjax.model.layers import Dropout, LayerNorm, kernel_init, sinusoids
from bertjax.model.ops.embedding import embed_lookup, embed_one_hot
from bertjax.model.ops.random_bits import row_numbers

# By name, as in `ModelConfig.position_init`.
POSITION_INITS = {"normal": kernel_init, "sinusoid": sinusoids}
assert set(POSITION_INITS) == set(choices(ModelConfig, "position_init"))


class Embeddings(nn.Module):
  """Tokens → the hidden states of layer 0 (Devlin et al., 2018, section 3)."""

  config: ModelConfig
  compute: ComputeConfig

  def setup(self) -> None:
    """Make the three tables, the norm and the dropout."""
    init = POSITION_INITS[self.config.position_init]
    self.word = self._table(self.config.vocab_size, "vocab")
    self.position = self._table(self.config.max_positions, None, init)
    self.type = self._table(self.config.type_vocab_size, None)
    self.layer_norm = LayerNorm(
      self.config.layer_norm_epsilon, self.compute.dtype
    )
    self.dropout = Dropout(self.config.hidden_dropout_rate)

  def _table(
    self, size: int, axis: str | None, init: Any = kernel_init
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
      embed_lookup(self._rows(self.word), features["tokens_BS"])
      + embed_lookup(self._rows(self.position), features["positions_BS"])
      + embed_one_hot(self._rows(self.type), features["types_BS"])
    )
    return self.dropout(
      self.layer_norm(hidden_BSD),
      row_numbers(features),
      deterministic=deterministic,
    )

  def _rows(self, table: nn.Embed) -> jax.Array:
    # Gather the table before the lookup, in the compute dtype. With a table
    # sharded along its width every device would look up its columns for the
    # whole batch, which is far more to move. With a table sharded along the
    # vocabulary the partitioner of jaxlib 0.12 crashes on a lookup inside a
    # shard_map over `data`.
    return with_logical_constraint(
      table.embedding.astype(self.compute.dtype), (None, None)
    )
