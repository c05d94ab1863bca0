# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Self-attention that stays inside packed examples."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.spmd import with_logical_constraint

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.dot_product import attend
from bertjax.model.functions import project
from bertjax.model.layers import weights, zeros
from bertjax.model.random_bits import bits16

Array = jax.Array


class SelfAttention(nn.Module):
  """Multi-head attention (Vaswani et al., 2017) with BERT's dropout."""

  config: ModelConfig
  compute: ComputeConfig
  deterministic: bool

  @nn.compact
  def __call__(
    self, hidden_BSD: Array, packs_BS: Array, rows_B: Array
  ) -> Array:
    """Return the attended `hidden_BSD`; pack 0 (padding) sees itself."""
    query_BSHK = self._project("query", hidden_BSD)
    key_BTHK = self._project("key", hidden_BSD)
    value_BTHK = self._project("value", hidden_BSD)
    rate = 0.0 if self.deterministic else self.config.attention_dropout_rate
    context_BSHK: Any = attend(
      query_BSHK * self.config.head_size**-0.5,
      key_BTHK,
      value_BTHK,
      packs_BS,
      self._bits(rate, packs_BS, rows_B),
      rate,
    )
    return self._merge(context_BSHK)

  def _bits(self, rate: float, packs_BS: Array, rows_B: Array) -> Array | None:
    if rate == 0.0:
      return None
    rows, length = packs_BS.shape
    shape = (rows, self.config.num_heads, length, length)
    return with_logical_constraint(
      bits16(self.make_rng("dropout"), shape, rows_B),
      ("batch", "heads", "length", None),
    )

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
