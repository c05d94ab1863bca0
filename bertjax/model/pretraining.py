# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder with BERT's two pre-training heads."""

from collections.abc import Mapping

import flax.linen as nn
import jax

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.encoder import Encoder
from bertjax.model.heads import (
  Classifier,
  MaskedLMHead,
  Pooler,
  gather_positions,
)

Array = jax.Array


class BertForPreTraining(nn.Module):
  """Masked language model and sentence-pair head (Devlin et al., 2018).

  The pooler and the pair head always exist, whatever the objective.
  """

  config: ModelConfig
  compute: ComputeConfig = ComputeConfig()

  def setup(self) -> None:
    """Make encoder and heads; the word table is shared."""
    self.encoder = Encoder(self.config, self.compute)
    self.pooler = Pooler(self.config, self.compute)
    self.mlm_head = MaskedLMHead(self.config, self.compute)
    self.pair_head = Classifier(self.config, 2)

  def encode(
    self, features: Mapping[str, Array], *, deterministic: bool
  ) -> tuple[Array, Array]:
    """Return `hidden_BSD` and `pooled_BRD`.

    Args:
      features: the arrays of `bertjax.batch.ENCODER_FEATURES`; others are
        ignored.
      deterministic: no dropout; otherwise the flax rng `dropout` is needed.
    """
    hidden_BSD = self.encoder(features, deterministic=deterministic)
    return hidden_BSD, self.pooler(hidden_BSD, features["starts_BR"])

  def __call__(
    self,
    features: Mapping[str, Array],
    masked_positions_BP: Array,
    *,
    deterministic: bool,
  ) -> dict[str, Array]:
    """Return float32 `mlm_logits_BPV` and `pair_logits_BR2`.

    Only the P masked positions of a row reach the vocabulary projection.
    """
    hidden_BSD, pooled_BRD = self.encode(features, deterministic=deterministic)
    hidden_BPD = gather_positions(hidden_BSD, masked_positions_BP)
    table_VD = self.encoder.embeddings.word.embedding
    return {
      "mlm_logits_BPV": self.mlm_head(hidden_BPD, table_VD),
      "pair_logits_BR2": self.pair_head(pooled_BRD),
    }
