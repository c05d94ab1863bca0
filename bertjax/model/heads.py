# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What stands on the encoder: pooler, masked-LM head, linear heads."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.spmd import with_logical_constraint

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.layers import Dense, LayerNorm, activation, weights, zeros

Array = jax.Array


def gather_positions(hidden_BSD: Array, positions_BP: Array) -> Array:
  """Return `hidden_BPD`, the hidden states at `positions_BP`."""
  return jnp.take_along_axis(hidden_BSD, positions_BP[:, :, None], axis=1)


class Pooler(nn.Module):
  """tanh of a projection of each packed example's [CLS]."""

  config: ModelConfig
  compute: ComputeConfig

  @nn.compact
  def __call__(self, hidden_BSD: Array, starts_BR: Array) -> Array:
    """Return `pooled_BRD`."""
    first_BRD = gather_positions(hidden_BSD, starts_BR)
    # Neither axis is cut: the matrix is small and its output axis is again
    # the width.
    width = self.config.hidden_size
    dense = Dense(
      self.config, self.compute, ("embed", None), (width,), name="dense"
    )
    return jnp.tanh(dense(first_BRD))


class MaskedLMHead(nn.Module):
  """Transform, then the tied word table with a bias of its own."""

  config: ModelConfig
  compute: ComputeConfig

  @nn.compact
  def __call__(self, hidden_BPD: Array, table_VD: Array) -> Array:
    """Return float32 `logits_BPV` for the P gathered positions only."""
    config, compute = self.config, self.compute
    width = config.hidden_size
    dense = Dense(config, compute, ("embed", None), (width,), name="dense")
    layer_norm = LayerNorm(
      config.layer_norm_epsilon, compute.dtype, name="layer_norm"
    )
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
  """A linear head whose logits are float32."""

  config: ModelConfig
  num_classes: int

  @nn.compact
  def __call__(self, pooled: Array) -> Array:
    """Return logits over `num_classes` along a new last axis."""
    return nn.Dense(
      self.num_classes,
      dtype=jnp.float32,
      kernel_init=weights(self.config, ("embed", None)),
      bias_init=zeros(None),
      name="dense",
    )(pooled.astype(jnp.float32))
