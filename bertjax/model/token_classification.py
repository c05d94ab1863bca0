# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder with one classifier over every piece."""

from collections.abc import Mapping

import flax.linen as nn
import jax

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.encoder import Encoder
from bertjax.model.heads import Classifier
from bertjax.model.layers import Dropout
from bertjax.model.ops.random_bits import row_numbers

Array = jax.Array


class BertForTokenClassification(nn.Module):
  """One label a piece, from the last layer (Devlin et al., 2018, section 5.3).

  There is no pooler.
  """

  config: ModelConfig
  num_classes: int
  compute: ComputeConfig = ComputeConfig()

  def setup(self) -> None:
    """Make encoder and head."""
    self.encoder = Encoder(self.config, self.compute)
    self.dropout = Dropout(self.config.hidden_dropout_rate)
    self.classifier = Classifier(self.config, self.num_classes)

  def __call__(
    self, features: Mapping[str, Array], *, deterministic: bool
  ) -> Array:
    """Return float32 `logits_BSC`; those of padding mean nothing."""
    hidden_BSD = self.encoder(features, deterministic=deterministic)
    hidden_BSD = self.dropout(
      hidden_BSD, row_numbers(features), deterministic=deterministic
    )
    return self.classifier(hidden_BSD)
