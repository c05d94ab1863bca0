# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Self-attention that stays inside packed examples."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
from flax.linen.spmd import with_logical_constraint

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.layers import Dense
from bertjax.model.ops.dot_product import CONTEXT, attend
from bertjax.model.ops.fused_attention import KERNELS
from bertjax.model.ops.random_bits import bits16, row_numbers

Array = jax.Array
SAVE_CONTEXT = jax.checkpoint_policies.save_only_these_names(CONTEXT)


class LayerInputs(NamedTuple):
  """The arrays that every layer reads beside the hidden states.

  Attributes:
    packs_BS: number of the packed example, 0 for padding; a position attends
      to the positions of the same number.
    rows_B: uint32, each row's number in the global batch, for dropout.
  """

  packs_BS: Array
  rows_B: Array


def layer_inputs(features: Mapping[str, Array]) -> LayerInputs:
  """Select the inputs of the layers from the features of a batch."""
  return LayerInputs(features["packs_BS"], row_numbers(features))


class SelfAttention(nn.Module):
  """Multi-head attention (Vaswani et al., 2017) with BERT's dropout."""

  config: ModelConfig
  compute: ComputeConfig
  deterministic: bool

  @nn.compact
  def __call__(self, hidden_BSD: Array, inputs: LayerInputs) -> Array:
    """Return the attended `hidden_BSD`."""
    query_BSHK = self._project("query", hidden_BSD)
    key_BTHK = self._project("key", hidden_BSD)
    value_BTHK = self._project("value", hidden_BSD)
    context_BSHK = self._attend(
      query_BSHK * self.config.head_size**-0.5, key_BTHK, value_BTHK, inputs
    )
    return Dense(
      self.config,
      self.compute,
      ("heads", "kv", "embed"),
      (self.config.hidden_size,),
      name="out",
    )(context_BSHK)

  def _attend(
    self,
    query_BSHK: Array,
    key_BTHK: Array,
    value_BTHK: Array,
    inputs: LayerInputs,
  ) -> Array:
    """Call the kernel that `compute.attention` names, else the plain path.

    Raises:
      ValueError: the model drops attention weights, and the kernel cannot.
    """
    states = (query_BSHK, key_BTHK, value_BTHK, inputs.packs_BS)
    rate = 0.0 if self.deterministic else self.config.attention_dropout_rate
    name = self.compute.attention
    # Initialization runs on one row, which the mesh does not divide.
    if name in KERNELS and not self.is_initializing():
      if rate:
        raise ValueError(
          f"compute.attention={name} cannot drop attention weights, and "
          f"model.attention_dropout_rate={rate}; set the rate to 0, or "
          "compute.attention=xla"
        )
      return KERNELS[name](*states)
    attend_plainly = functools.partial(_attend_plainly, rate=rate)
    if self.compute.remat == "attention":
      attend_plainly = jax.checkpoint(
        attend_plainly, prevent_cse=False, policy=SAVE_CONTEXT
      )
    key = self.make_rng("dropout") if rate else None
    return attend_plainly(*states, inputs.rows_B, key)

  def _project(self, name: str, hidden_BSD: Array) -> Array:
    heads_BSHK = Dense(
      self.config,
      self.compute,
      ("embed", "heads", "kv"),
      (self.config.num_heads, self.config.head_size),
      name=name,
    )(hidden_BSD)
    return with_logical_constraint(
      heads_BSHK, ("batch", "length", "heads", "kv")
    )


def _attend_plainly(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  packs_BS: Array,
  rows_B: Array,
  key: Array | None,
  *,
  rate: float,
) -> Array:
  """Attend without a kernel, with dropout if there is a `key`."""
  bits_BHTS = None
  if key is not None:
    rows, length, heads, _ = query_BSHK.shape
    bits_BHTS = with_logical_constraint(
      bits16(key, (rows, heads, length, length), rows_B),
      ("batch", "heads", None, "length"),
    )
  context_BSHK: Any = attend(
    query_BSHK, key_BTHK, value_BTHK, packs_BS, bits_BHTS, rate
  )
  return context_BSHK
