# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder with one classifier over whole examples."""

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from bertjax.config import POOLINGS, ComputeConfig, ModelConfig
from bertjax.model.encoder import Encoder
from bertjax.model.heads import Classifier, Pooler
from bertjax.model.layers import Dropout
from bertjax.model.ops.random_bits import row_numbers

Array = jax.Array


class BertForSequenceClassification(nn.Module):
  """One label a row (R = 1), from the pooled [CLS] or from the mean.

  `pooling="cls"` is BERT's: pooler, dropout, classifier. `"mean"` averages
  the last layer over the real positions and has no pooler.
  """

  config: ModelConfig
  num_classes: int
  pooling: str = "cls"
  compute: ComputeConfig = ComputeConfig()

  def setup(self) -> None:
    """Make encoder and head.

    Raises:
      ValueError: a pooling other than cls and mean.
    """
    if self.pooling not in POOLINGS:
      raise ValueError(f"pooling={self.pooling!r}; give one of {POOLINGS}")
    self.encoder = Encoder(self.config, self.compute)
    if self.pooling == "cls":
      self.pooler = Pooler(self.config, self.compute)
    self.dropout = Dropout(self.config.hidden_dropout_rate)
    self.classifier = Classifier(self.config, self.num_classes)

  def encode(
    self, features: Mapping[str, Array], *, deterministic: bool
  ) -> tuple[Array, Array]:
    """Return `hidden_BSD` and the pooled `summary_BD`."""
    hidden_BSD = self.encoder(features, deterministic=deterministic)
    if self.pooling == "cls":
      return hidden_BSD, self.pooler(hidden_BSD, features["starts_BR"])[:, 0]
    real_BS = (features["packs_BS"] > 0).astype(jnp.float32)
    # An empty row has no real position; its label has weight 0.
    count_B1 = jnp.maximum(jnp.sum(real_BS, axis=1, keepdims=True), 1.0)
    summary_BD = jnp.einsum(
      "BSD,BS->BD", hidden_BSD.astype(jnp.float32), real_BS / count_B1
    )
    return hidden_BSD, summary_BD.astype(self.compute.dtype)

  def __call__(
    self, features: Mapping[str, Array], *, deterministic: bool
  ) -> Array:
    """Return float32 `logits_BC`."""
    _, summary_BD = self.encode(features, deterministic=deterministic)
    summary_BD = self.dropout(
      summary_BD, row_numbers(features), deterministic=deterministic
    )
    return self.classifier(summary_BD)
