# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The BERT models: one encoder, and on it the heads of one task each.

Start reading here. `encoder.py` has the stack of layers, `attention.py` their
self-attention, `embeddings.py` the input of the stack, and `heads.py` the heads
on its output; `layers.py` has the small layers that all of these use.

Every model takes `features`, the arrays of `bertjax.batch.ENCODER_FEATURES`,
and ignores other arrays. Without `deterministic` it applies dropout, which
needs the flax rng `dropout`. Hidden states have the dtype of `compute`, logits
are float32.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.encoder import Encoder, Frozen
from bertjax.model.heads import (
  Classifier,
  MaskedLMHead,
  Pooler,
  gather_positions,
  has_pooler,
  mean_of_packs,
)
from bertjax.model.layers import Dropout
from bertjax.model.ops.random_bits import row_numbers

Array = jax.Array
Features = Mapping[str, Array]


class _Bert(nn.Module):
  """The encoder that every model below adds its heads to."""

  config: ModelConfig
  compute: ComputeConfig = ComputeConfig()
  frozen: Frozen = Frozen()

  def setup(self) -> None:
    """Make the encoder."""
    self.encoder = Encoder(self.config, self.compute, self.frozen)


class BertForPreTraining(_Bert, kw_only=True):
  """Masked language model and sentence-pair head (Devlin et al., 2018).

  The pooler and the pair head exist under every objective, unless
  `config.pooler` is false.
  """

  num_pair_classes: int = 2

  def setup(self) -> None:
    """Make the encoder, the pooler and both heads."""
    super().setup()
    if self.config.pooler:
      self.pooler = Pooler(self.config, self.compute)
      self.pair_head = Classifier(self.config, self.num_pair_classes)
    self.mlm_head = MaskedLMHead(self.config, self.compute)

  def encode(
    self, features: Features, *, deterministic: bool
  ) -> tuple[Array, Array | None]:
    """Return `hidden_BSD`, and `pooled_BRD` if there is a pooler."""
    hidden_BSD = self.encoder(features, deterministic=deterministic)
    if not self.config.pooler:
      return hidden_BSD, None
    return hidden_BSD, self.pooler(hidden_BSD, features["starts_BR"])

  def __call__(
    self, features: Features, masked_positions_BP: Array, *, deterministic: bool
  ) -> dict[str, Array]:
    """Return `mlm_logits_BPV` and, with a pooler, `pair_logits_BRC`.

    Only the P masked positions of a row reach the vocabulary projection.
    """
    hidden_BSD, pooled_BRD = self.encode(features, deterministic=deterministic)
    hidden_BPD = gather_positions(hidden_BSD, masked_positions_BP)
    outputs = {
      "mlm_logits_BPV": self.mlm_head(hidden_BPD, self.encoder.word_table())
    }
    if pooled_BRD is not None:
      outputs["pair_logits_BRC"] = self.pair_head(pooled_BRD)
    return outputs


class _BertClassifier(_Bert, kw_only=True):
  """The encoder with dropout and one linear layer over `num_classes`."""

  num_classes: int

  def setup(self) -> None:
    """Make the encoder, the dropout and the classifier."""
    super().setup()
    self.dropout = Dropout(
      self.config.hidden_dropout_rate, self.compute.dropout_draws
    )
    self.classifier = Classifier(self.config, self.num_classes)

  def _drop(
    self, hidden: Array, features: Features, deterministic: bool
  ) -> Array:
    return self.dropout(
      hidden, row_numbers(features), deterministic=deterministic
    )


class BertForSequenceClassification(_BertClassifier, kw_only=True):
  """One vector of logits for each packed example, from [CLS] or the mean.

  `pooling="cls"` is BERT's: pooler, dropout, classifier. `"mean"` averages
  the last layer over the positions of the example and has no pooler, but for
  ModernBERT's. A tanh that pre-training has not made drops its input as well
  (RoBERTa; fairseq, `RobertaClassificationHead`).

  With `scores_windows` each pack also has a score, whose softmax over the
  windows of a long text weighs them (`finetune.window_attention`). The score
  is linear and has no bias, because a softmax does not change with one.
  """

  pooling: str = "cls"
  scores_windows: bool = False

  def setup(self) -> None:
    """Make the encoder, the classifier and, if there is one, the pooler."""
    super().setup()
    if self.scores_windows:
      self.window_scorer = Classifier(self.config, 1, use_bias=False)
    if has_pooler(self.config, self.pooling):
      self.pooler = Pooler(self.config, self.compute)

  def encode(
    self, features: Features, *, deterministic: bool
  ) -> tuple[Array, Array]:
    """Return `hidden_BSD` and `summary_BRD`, the input of the classifier."""
    config = self.config
    hidden_BSD = self.encoder(features, deterministic=deterministic)
    if self.pooling == "cls":
      summary_BRD = gather_positions(hidden_BSD, features["starts_BR"])
      if config.sequence_head == "pooler" and not config.pooler:
        summary_BRD = self._drop(summary_BRD, features, deterministic)
    else:
      summary_BRD = mean_of_packs(hidden_BSD, features)
      summary_BRD = summary_BRD.astype(self.compute.dtype)
    if has_pooler(config, self.pooling):
      summary_BRD = self.pooler.transform(summary_BRD)
    return hidden_BSD, summary_BRD

  def __call__(
    self, features: Features, *, deterministic: bool
  ) -> dict[str, Array]:
    """Return `logits_BRC`; the logits of empty packs are meaningless.

    With `scores_windows` there is also `attention_BR`, the scores.
    """
    _, summary_BRD = self.encode(features, deterministic=deterministic)
    summary_BRD = self._drop(summary_BRD, features, deterministic)
    outputs = {"logits_BRC": self.classifier(summary_BRD)}
    if self.scores_windows:
      outputs["attention_BR"] = self.window_scorer(summary_BRD)[..., 0]
    return outputs


class BertForTokenClassification(_BertClassifier, kw_only=True):
  """One label a token, from the last layer (Devlin et al., 2018, section 5.3).

  It has no pooler, but for ModernBERT's, which every token passes.
  """

  def setup(self) -> None:
    """Make the encoder, the classifier and, if there is one, the pooler."""
    super().setup()
    if has_pooler(self.config, ""):
      self.pooler = Pooler(self.config, self.compute)

  def __call__(
    self, features: Features, *, deterministic: bool
  ) -> dict[str, Array]:
    """Return `logits_BSC`; the logits of padding are meaningless."""
    hidden_BSD = self.encoder(features, deterministic=deterministic)
    if has_pooler(self.config, ""):
      hidden_BSD = self.pooler.transform(hidden_BSD)
    hidden_BSD = self._drop(hidden_BSD, features, deterministic)
    return {"logits_BSC": self.classifier(hidden_BSD)}


class BertForQuestionAnswering(_Bert):
  """Where an answer starts and ends (Devlin et al., 2018, section 4.2).

  It has no pooler, and no dropout before the head (google-research/bert,
  run_squad.py, `create_model`). DistilBERT has the dropout alone; ModernBERT
  has both, the pooler on every token.
  """

  def setup(self) -> None:
    """Make the encoder, the head and, as far as there are, what precedes it."""
    super().setup()
    self.span_head = Classifier(self.config, 2)
    if self.config.sequence_head != "pooler":
      self.dropout = Dropout(self.config.hidden_dropout_rate)
    if has_pooler(self.config, ""):
      self.pooler = Pooler(self.config, self.compute)

  def __call__(
    self, features: Features, *, deterministic: bool
  ) -> dict[str, Array]:
    """Return `start_logits_BS` and `end_logits_BS`.

    The loss masks the logits of padding.
    """
    hidden_BSD = self.encoder(features, deterministic=deterministic)
    if has_pooler(self.config, ""):
      hidden_BSD = self.pooler.transform(hidden_BSD)
    if self.config.sequence_head != "pooler":
      hidden_BSD = self.dropout(
        hidden_BSD, row_numbers(features), deterministic=deterministic
      )
    logits_BS2 = self.span_head(hidden_BSD)
    return {
      "start_logits_BS": logits_BS2[..., 0],
      "end_logits_BS": logits_BS2[..., 1],
    }
