# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Self-attention that stays inside packed examples, and inside windows."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.spmd import with_logical_constraint

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.config.model import given_rate, has_windows
from bertjax.model.layers import Dense
from bertjax.model.ops.dot_product import CONTEXT, attend
from bertjax.model.ops.flash_attention import flash
from bertjax.model.ops.fused_attention import KERNELS, Window
from bertjax.model.ops.random_bits import draw, row_numbers
from bertjax.model.ops.weight_draws import WeightDropout, make_seeds
from bertjax.model.positions import Rotation, rotate, rotation_at

Array = jax.Array
SAVE_CONTEXT = jax.checkpoint_policies.save_only_these_names(CONTEXT)


class LayerInputs(NamedTuple):
  """The arrays that every layer reads beside the hidden states.

  Attributes:
    packs_BS: number of the packed example, 0 for padding; a position attends
      to the positions of the same number.
    rows_B: uint32, each row's number in the global batch, for dropout.
    rotation: of queries and keys; None if positions are not rotary.
    local_rotation: of layers with a window, where it is another one.
    near_ST: bool, the pairs of a row that the layer's window holds; a distance
      has no direction, so that this is near_TS as well.
  """

  packs_BS: Array
  rows_B: Array
  rotation: Rotation | None = None
  local_rotation: Rotation | None = None
  near_ST: Array | None = None


class LayerChoice(NamedTuple):
  """What tells one layer from others; stacked, of all layers.

  Attributes:
    is_global: bool, whether it attends to the whole example.
    is_first: bool, whether it is the first layer.
  """

  is_global: Any
  is_first: Any


def layer_inputs(
  features: Mapping[str, Array], config: ModelConfig
) -> LayerInputs:
  """Return the inputs of the layers, from the features of a batch."""
  rotation, local_rotation = None, None
  turn = functools.partial(
    rotation_at, features["positions_BS"], config.head_size
  )
  if config.positions == "rotary":
    rotation = turn(config.rotary_base)
    if has_windows(config) and config.local_base != config.rotary_base:
      local_rotation = turn(config.local_base)
  return LayerInputs(
    features["packs_BS"], row_numbers(features), rotation, local_rotation
  )


def layer_choices(config: ModelConfig) -> LayerChoice | None:
  """Return what tells the layers apart, stacked; None if nothing does."""
  if not has_windows(config) and config.first_attention_norm:
    return None
  layers_L = np.arange(config.num_layers)
  return LayerChoice(layers_L % config.global_every == 0, layers_L == 0)


class SelfAttention(nn.Module):
  """Multi-head attention (Vaswani et al., 2017) with BERT's dropout."""

  config: ModelConfig
  compute: ComputeConfig
  deterministic: bool

  @nn.compact
  def __call__(
    self,
    hidden_BSD: Array,
    inputs: LayerInputs,
    choice: LayerChoice | None = None,
  ) -> Array:
    """Return the attended `hidden_BSD`; `choice` is that of one layer."""
    query_BSHK = self._project("query", hidden_BSD)
    key_BTHK = self._project("key", hidden_BSD)
    value_BTHK = self._project("value", hidden_BSD)
    rotation = _rotation(inputs, choice)
    if rotation is not None:
      query_BSHK = rotate(query_BSHK, rotation)
      key_BTHK = rotate(key_BTHK, rotation)
    context_BSHK = self._attend(
      query_BSHK * self.config.head_size**-0.5,
      key_BTHK,
      value_BTHK,
      inputs,
      self._window(choice),
    )
    return Dense(
      self.config,
      self.compute,
      ("heads", "kv", "embed"),
      (self.config.hidden_size,),
      place="out",
      name="out",
    )(context_BSHK)

  def _window(self, choice: LayerChoice | None) -> Window | None:
    if choice is None or not has_windows(self.config):
      return None
    return Window(self.config.attention_window // 2, choice.is_global)

  def _attend(
    self,
    query_BSHK: Array,
    key_BTHK: Array,
    value_BTHK: Array,
    inputs: LayerInputs,
    window: Window | None,
  ) -> Array:
    """Call the kernel that `compute.attention` names, else the plain path.

    Raises:
      ValueError: the model drops attention weights, and the kernel cannot.
    """
    states = (query_BSHK, key_BTHK, value_BTHK)
    rate = 0.0 if self.deterministic else self.config.attention_dropout_rate
    name = self.compute.attention
    # Initialization runs on one row, which the mesh does not divide.
    if name == "flash" and not self.is_initializing():
      return self._attend_by_flash(states, inputs, window, rate)
    if name in KERNELS and not self.is_initializing():
      if rate:
        raise ValueError(
          f"compute.attention={name} cannot drop attention weights, and "
          f"model.attention_dropout_rate={rate}; set the rate to 0, or "
          "compute.attention=xla"
        )
      more = () if window is None else (window,)
      return KERNELS[name](*states, inputs.packs_BS, *more)
    attend_plainly = functools.partial(
      _attend_plainly, rate=rate, draws=self.compute.dropout_draws
    )
    if self.compute.remat == "attention":
      attend_plainly = jax.checkpoint(
        attend_plainly, prevent_cse=False, policy=SAVE_CONTEXT
      )
    key = self.make_rng("dropout") if rate else None
    near_ST = None
    if window is not None:
      near_ST = _near(query_BSHK.shape[1], window.reach) | window.is_global
    of_layer = LayerInputs(inputs.packs_BS, inputs.rows_B, near_ST=near_ST)
    return attend_plainly(*states, of_layer, key)

  def _attend_by_flash(
    self,
    states: tuple[Array, Array, Array],
    inputs: LayerInputs,
    window: Window | None,
    rate: float,
  ) -> Array:
    """Attend by the kernel that drops attention weights at `rate`."""
    dropout, reach = None, None
    if rate:
      seeds_BH2 = make_seeds(
        self.make_rng("dropout"), inputs.rows_B, self.config.num_heads
      )
      draws = self.compute.dropout_draws
      dropout = WeightDropout(seeds_BH2, given_rate(rate, draws), draws)
    if window is not None:
      length = inputs.packs_BS.shape[1]
      reach = jnp.where(window.is_global, length, window.reach)
    query_BSHK, key_BTHK, value_BTHK = states
    return flash(
      query_BSHK,
      key_BTHK,
      value_BTHK,
      inputs.packs_BS,
      dropout=dropout,
      reach=reach,
    )

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


def _rotation(
  inputs: LayerInputs, choice: LayerChoice | None
) -> Rotation | None:
  """Return the rotation of queries and keys of one layer."""
  if choice is None or inputs.local_rotation is None:
    return inputs.rotation
  rotation: Rotation = jax.tree.map(
    lambda whole, local: jnp.where(choice.is_global, whole, local),
    inputs.rotation,
    inputs.local_rotation,
  )
  return rotation


def _near(length: int, reach: int) -> Array:
  """Return which pairs of a row of this length are at most `reach` apart.

  A pack is in one piece: a distance in the row is one in the example.
  """
  places_S = jnp.arange(length)
  return jnp.abs(places_S[:, None] - places_S[None, :]) <= reach


def _attend_plainly(
  query_BSHK: Array,
  key_BTHK: Array,
  value_BTHK: Array,
  inputs: LayerInputs,
  key: Array | None,
  *,
  rate: float,
  draws: str,
) -> Array:
  """Attend without a kernel, with dropout if there is a `key`.

  `inputs.near_ST` has the pairs of this layer's window.
  """
  bits_BHTS = None
  if key is not None:
    rows, length, heads, _ = query_BSHK.shape
    bits_BHTS = with_logical_constraint(
      draw(key, (rows, heads, length, length), inputs.rows_B, draws),
      ("batch", "heads", None, "length"),
    )
  context_BSHK: Any = attend(
    query_BSHK,
    key_BTHK,
    value_BTHK,
    inputs.packs_BS,
    bits_BHTS,
    given_rate(rate, draws),
    inputs.near_ST,
  )
  return context_BSHK
