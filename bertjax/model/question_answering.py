# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder with a head that finds the span of an answer."""

from collections.abc import Mapping

import flax.linen as nn
import jax

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.encoder import Encoder
from bertjax.model.heads import Classifier

Array = jax.Array


class BertForQuestionAnswering(nn.Module):
  """Where an answer starts and ends (Devlin et al., 2018, section 4.2).

  There is no pooler, and no dropout before the head (google-research/bert,
  run_squad.py, `create_model`).
  """

  config: ModelConfig
  compute: ComputeConfig = ComputeConfig()

  def setup(self) -> None:
    """Make encoder and head."""
    self.encoder = Encoder(self.config, self.compute)
    self.span_head = Classifier(self.config, 2)

  def __call__(
    self, features: Mapping[str, Array], *, deterministic: bool
  ) -> dict[str, Array]:
    """Return float32 `start_logits_BS` and `end_logits_BS`.

    Those of padding are left for the loss to mask.
    """
    hidden_BSD = self.encoder(features, deterministic=deterministic)
    logits_BS2 = self.span_head(hidden_BSD)
    return {
      "start_logits_BS": logits_BS2[..., 0],
      "end_logits_BS": logits_BS2[..., 1],
    }
