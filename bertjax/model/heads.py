# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The heads on the encoder: pooler, masked language model, linear layers."""

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.spmd import with_logical_constraint

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.layers import (
  Dense,
  Norm,
  activation,
  kernel_init,
  zeros,
)

Array = jax.Array


def gather_positions(hidden_BSD: Array, positions_BP: Array) -> Array:
  """Return `hidden_BPD`, the hidden states at `positions_BP`."""
  return jnp.take_along_axis(hidden_BSD, positions_BP[:, :, None], axis=1)


def mean_of_packs(hidden_BSD: Array, features: Mapping[str, Array]) -> Array:
  """Return float32 `mean_BRD` over the positions of each packed example.

  The mean of an empty pack is 0.
  """
  numbers_R = jnp.arange(1, features["starts_BR"].shape[1] + 1)
  belongs_BRS = (
    features["packs_BS"][:, None, :] == numbers_R[None, :, None]
  ).astype(jnp.float32)
  count_BR1 = jnp.maximum(jnp.sum(belongs_BRS, axis=2, keepdims=True), 1.0)
  return jnp.einsum(
    "BSD,BRS->BRD", hidden_BSD.astype(jnp.float32), belongs_BRS / count_BR1
  )


def has_pooler(config: ModelConfig, pooling: str) -> bool:
  """Return whether fine-tuning has a `Pooler`, and not the states alone.

  Args:
    config: shape and choices.
    pooling: "cls", "mean", or "" for tokens and spans.
  """
  return pooling == "cls" or config.sequence_head == "norm"


class Pooler(nn.Module):
  """What stands between states of the encoder and a linear head.

  `config.sequence_head` names it: the tanh of a product (BERT); its ReLU
  (DistilBERT's `pre_classifier`); or the norm of its activation (ModernBERT's
  prediction head).
  """

  config: ModelConfig
  compute: ComputeConfig

  def setup(self) -> None:
    """Make the product and, for "norm", the norm."""
    config, compute = self.config, self.compute
    # The output axis has no name: it is the width again, and one matrix cannot
    # shard both of its axes over `fsdp`.
    self.dense = Dense(
      config, compute, ("embed", None), (config.hidden_size,), place="out"
    )
    if config.sequence_head == "norm":
      self.layer_norm = Norm(config, compute)

  def __call__(self, hidden_BSD: Array, starts_BR: Array) -> Array:
    """Return `pooled_BRD` of each packed example's [CLS]."""
    return self.transform(gather_positions(hidden_BSD, starts_BR))

  def transform(self, states: Array) -> Array:
    """Return what becomes of each state; the last axis is the width."""
    states = self.dense(states)
    if self.config.sequence_head == "norm":
      return self.layer_norm(activation(self.config)(states))
    if self.config.sequence_head == "relu":
      return jax.nn.relu(states)
    return jnp.tanh(states)


class MaskedLMHead(nn.Module):
  """A transformation, then the tied word table and a bias of its own."""

  config: ModelConfig
  compute: ComputeConfig

  @nn.compact
  def __call__(self, hidden_BPD: Array, table_VD: Array) -> Array:
    """Return float32 `logits_BPV` for the P gathered positions.

    The transformation ends in the width of the table.
    """
    config, compute = self.config, self.compute
    width = table_VD.shape[-1]
    dense = Dense(
      config, compute, ("embed", None), (width,), place="out", name="dense"
    )
    layer_norm = Norm(config, compute, name="layer_norm")
    hidden_BPD = layer_norm(activation(config)(dense(hidden_BPD)))
    logits_BPV = jnp.einsum(
      "BPD,VD->BPV",
      hidden_BPD,
      table_VD.astype(compute.dtype),
      preferred_element_type=jnp.float32,
    )
    bias_V = self.param("bias", zeros("vocab"), (config.vocab_size,))
    logits_BPV = logits_BPV + bias_V[None, None]
    return with_logical_constraint(logits_BPV, ("batch", None, "vocab"))


class Classifier(nn.Module):
  """A linear layer to float32 logits."""

  config: ModelConfig
  num_classes: int
  use_bias: bool = True

  @nn.compact
  def __call__(self, pooled: Array) -> Array:
    """Return logits; the last axis is the classes."""
    return nn.Dense(
      self.num_classes,
      use_bias=self.use_bias,
      dtype=jnp.float32,
      kernel_init=kernel_init(self.config, ("embed", None), "logits"),
      bias_init=zeros(None),
      name="dense",
    )(pooled.astype(jnp.float32))
