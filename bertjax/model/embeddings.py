# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Word, position and type embeddings, summed, normalised and dropped out."""

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.layers import Dropout, LayerNorm, weights


class Embeddings(nn.Module):
  """Tokens → the encoder's input (Devlin et al., 2018, section 3)."""

  config: ModelConfig
  compute: ComputeConfig

  def setup(self) -> None:
    """Make the three tables."""
    self.word = self._table(self.config.vocab_size, "vocab")
    self.position = self._table(self.config.max_positions, None)
    self.type = self._table(self.config.type_vocab_size, None)
    self.layer_norm = LayerNorm(
      self.config.layer_norm_epsilon, self.compute.dtype
    )
    self.dropout = Dropout(self.config.hidden_dropout_rate)

  def _table(self, size: int, axis: str | None) -> nn.Embed:
    return nn.Embed(
      size,
      self.config.hidden_size,
      dtype=jnp.dtype(self.compute.dtype),
      embedding_init=weights(self.config, (axis, "embed")),
    )

  def __call__(
    self, features: Mapping[str, jax.Array], *, deterministic: bool
  ) -> jax.Array:
    """Return `hidden_BSD`."""
    hidden_BSD = (
      self.word(features["tokens_BS"])
      + self.position(features["positions_BS"])
      + self.type(features["types_BS"])
    )
    return self.dropout(
      self.layer_norm(hidden_BSD), deterministic=deterministic
    )
