# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Self-attention that stays inside packed examples."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.spmd import with_logical_constraint

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.functions import project
from bertjax.model.layers import Dropout, weights, zeros

Array = jax.Array
# Added to scores outside a pack. The largest score of a pack is subtracted
# before the exponential, which is then exactly 0: padding is invisible.
OUTSIDE = -1e9


class SelfAttention(nn.Module):
  """Multi-head attention (Vaswani et al., 2017) with BERT's dropout."""

  config: ModelConfig
  compute: ComputeConfig
  deterministic: bool

  @nn.compact
  def __call__(self, hidden_BSD: Array, packs_BS: Array) -> Array:
    """Return the attended `hidden_BSD`; pack 0 (padding) sees itself."""
    query_BSHK = self._project("query", hidden_BSD)
    key_BTHK = self._project("key", hidden_BSD)
    value_BTHK = self._project("value", hidden_BSD)
    scores_BHST = jnp.einsum(
      "BSHK,BTHK->BHST",
      query_BSHK * self.config.head_size**-0.5,
      key_BTHK,
      preferred_element_type=jnp.float32,
    )
    inside_B1ST = packs_BS[:, None, :, None] == packs_BS[:, None, None, :]
    weights_BHST = jax.nn.softmax(
      jnp.where(inside_B1ST, scores_BHST, OUTSIDE), axis=-1
    ).astype(self.compute.dtype)
    weights_BHST = Dropout(self.config.attention_dropout_rate)(
      weights_BHST, deterministic=self.deterministic
    )
    context_BSHK = jnp.einsum("BHST,BTHK->BSHK", weights_BHST, value_BTHK)
    return self._merge(context_BSHK)

  def _project(self, name: str, hidden_BSD: Array) -> Array:
    heads_BSHK = nn.DenseGeneral(
      (self.config.num_heads, self.config.head_size),
      dtype=jnp.dtype(self.compute.dtype),
      kernel_init=weights(self.config, ("embed", "heads", "kv")),
      dot_general=project,
      bias_init=zeros("heads", "kv"),
      name=name,
    )(hidden_BSD)
    return with_logical_constraint(
      heads_BSHK, ("batch", "length", "heads", "kv")
    )

  def _merge(self, context_BSHK: Array) -> Array:
    return nn.DenseGeneral(
      self.config.hidden_size,
      axis=(-2, -1),
      dtype=jnp.dtype(self.compute.dtype),
      kernel_init=weights(self.config, ("heads", "kv", "embed")),
      dot_general=project,
      bias_init=zeros("embed"),
      name="out",
    )(context_BSHK)
