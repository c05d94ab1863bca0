# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The sum of the embeddings of words, positions and types."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.spmd import with_logical_constraint

from bertjax.config import ComputeConfig, ModelConfig, choices
from bertjax.model.layers import Dense, Dropout, Norm, kernel_init, sinusoids
from bertjax.model.ops.embedding import embed_lookup, embed_one_hot
from bertjax.model.ops.random_bits import row_numbers
from bertjax.model.positions import sinusoids_at

# By name, as in `ModelConfig.position_init`.
POSITION_INITS = {"normal": kernel_init, "sinusoid": sinusoids}
assert set(POSITION_INITS) == set(choices(ModelConfig, "position_init"))


class Embeddings(nn.Module):
  """Tokens → the hidden states of layer 0 (Devlin et al., 2018, section 3).

  Rotary positions are no part of them; see `attention.py`.
  """

  config: ModelConfig
  compute: ComputeConfig

  def setup(self) -> None:
    """Make the tables, the norm, the dropout and the projection."""
    config = self.config
    self.word = self._table(config.vocab_size, "vocab")
    if config.positions == "learned":
      size = config.max_positions + config.position_offset
      init = POSITION_INITS[config.position_init]
      self.position = self._table(size, None, init)
    if config.type_vocab_size:
      self.type = self._table(config.type_vocab_size, None)
    if config.embedding_norm:
      self.layer_norm = Norm(config, self.compute)
    self.dropout = Dropout(
      config.hidden_dropout_rate, self.compute.dropout_draws
    )
    if config.embedding_size:
      # The output axis has no name, as in the pooler.
      self.projection = Dense(
        config, self.compute, ("embed", None), (config.hidden_size,)
      )

  def _table(
    self, size: int, axis: str | None, init: Any = kernel_init
  ) -> nn.Embed:
    return nn.Embed(
      size,
      self.config.embedding_width,
      dtype=jnp.dtype(self.compute.dtype),
      embedding_init=init(self.config, (axis, "embed")),
    )

  def __call__(
    self, features: Mapping[str, jax.Array], *, deterministic: bool
  ) -> jax.Array:
    """Return `hidden_BSD`."""
    config = self.config
    hidden_BSD = embed_lookup(self._rows(self.word), features["tokens_BS"])
    hidden_BSD = self._add_positions(hidden_BSD, features["positions_BS"])
    if config.type_vocab_size:
      types_BS = features["types_BS"]
      if config.type_vocab_size == 1:  # RoBERTa's pairs have one type
        types_BS = jnp.zeros_like(types_BS)
      hidden_BSD = hidden_BSD + embed_one_hot(self._rows(self.type), types_BS)
    if config.embedding_norm:
      hidden_BSD = self.layer_norm(hidden_BSD)
    hidden_BSD = self.dropout(
      hidden_BSD, row_numbers(features), deterministic=deterministic
    )
    return self.projection(hidden_BSD) if config.embedding_size else hidden_BSD

  def _add_positions(
    self, hidden_BSD: jax.Array, positions_BS: jax.Array
  ) -> jax.Array:
    kind, offset = self.config.positions, self.config.position_offset
    if kind == "learned":
      ids_BS = positions_BS + offset if offset else positions_BS
      return hidden_BSD + embed_lookup(self._rows(self.position), ids_BS)
    if kind == "sinusoidal":
      states_BSD = sinusoids_at(positions_BS, self.config.embedding_width)
      return hidden_BSD + states_BSD.astype(hidden_BSD.dtype)
    return hidden_BSD

  def _rows(self, table: nn.Embed) -> jax.Array:
    # Gather the table before the lookup, in the compute dtype. With a table
    # sharded along its width every device would look up its columns for the
    # whole batch, which is far more to move. With a table sharded along the
    # vocabulary the partitioner of jaxlib 0.12 crashes on a lookup inside a
    # shard_map over `data`.
    return with_logical_constraint(
      table.embedding.astype(self.compute.dtype), (None, None)
    )
