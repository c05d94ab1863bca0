# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder: embeddings, a scanned stack of layers, and its last norm."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.spmd import with_logical_constraint

from bertjax.config import ComputeConfig, ModelConfig, choices
from bertjax.model.attention import (
  LayerChoice,
  LayerInputs,
  SelfAttention,
  layer_choices,
  layer_inputs,
)
from bertjax.model.embeddings import Embeddings
from bertjax.model.layers import Dense, Dropout, Norm, activation
from bertjax.model.ops.gated import gated
from bertjax.model.ops.projection import PROJECTION

Array = jax.Array
# By name, as in `ComputeConfig.remat`. "attention" recomputes less than a layer
# and is in `attention.py`.
REMAT_POLICIES = {
  "dots": jax.checkpoint_policies.save_only_these_names(PROJECTION),
  "full": jax.checkpoint_policies.nothing_saveable,
}
assert {"none", "attention", *REMAT_POLICIES} == set(
  choices(ComputeConfig, "remat")
)
# The inputs are those of every layer, and each has its choice. linen annotates
# `in_axes` as int, and documents `broadcast` and tuples.
INPUT_AXES: Any = (nn.broadcast, 0)
HIDDEN_AXES = ("batch", "length", None)


class Frozen(NamedTuple):
  """What no gradient is computed for.

  Attributes:
    embeddings: whether the embeddings are frozen.
    layers: number of the lowest layers; the embeddings must be frozen as well.
  """

  embeddings: bool = False
  layers: int = 0


class Layer(nn.Module):
  """Attention and feed-forward, each with a residual and a norm."""

  config: ModelConfig
  compute: ComputeConfig
  deterministic: bool

  @nn.compact
  def __call__(
    self,
    hidden_BSD: Array,
    inputs: LayerInputs,
    choice: LayerChoice | None = None,
  ) -> tuple[Array, None]:
    """Return the next `hidden_BSD`, and None, which the scan stacks.

    Args:
      hidden_BSD: hidden states.
      inputs: what every layer reads.
      choice: what this layer has of its own; None if nothing.
    """
    return self._run(hidden_BSD, inputs, choice), None

  def _run(
    self, hidden_BSD: Array, inputs: LayerInputs, choice: LayerChoice | None
  ) -> Array:
    config, rows_B = self.config, inputs.rows_B
    attention = SelfAttention(
      config, self.compute, self.deterministic, name="attention"
    )
    attend = lambda hidden_BSD: self._drop(
      attention(hidden_BSD, inputs, choice),
      rows_B,
      _attention_output_rate(config),
    )
    lacks_norm = None
    if choice is not None and not config.first_attention_norm:
      lacks_norm = choice.is_first
    hidden_BSD = self._branch(
      hidden_BSD, attend, "attention_layer_norm", lacks_norm
    )
    hidden_BSD = self._branch(
      hidden_BSD,
      functools.partial(self._feed_forward, rows_B),
      "mlp_layer_norm",
    )
    hidden_BSD = with_logical_constraint(hidden_BSD, HIDDEN_AXES)
    # Only for a caller that asks for the collection; see `Encoder`.
    self.sow("intermediates", "hidden_BSD", hidden_BSD)
    return hidden_BSD

  def _branch(
    self,
    hidden_BSD: Array,
    update: Callable[[Array], Array],
    name: str,
    lacks_norm: Array | None = None,
  ) -> Array:
    """Add what `update` makes of the states, with a norm after or before.

    Args:
      hidden_BSD: hidden states.
      update: normalized states, or those of a norm before → what is added.
      name: name of the norm.
      lacks_norm: bool, whether this layer has no norm before.
    """
    norm = Norm(self.config, self.compute, name=name)
    if self.config.norm_position == "post":
      return norm(hidden_BSD + update(hidden_BSD))
    normal_BSD = norm(hidden_BSD)
    if lacks_norm is not None:
      normal_BSD = jnp.where(lacks_norm, hidden_BSD, normal_BSD)
    return hidden_BSD + update(normal_BSD)

  def _drop(self, states: Array, rows_B: Array, rate: float) -> Array:
    drop = Dropout(rate, self.compute.dropout_draws)
    return drop(states, rows_B, deterministic=self.deterministic)

  def _feed_forward(self, rows_B: Array, hidden_BSD: Array) -> Array:
    config = self.config
    dense = functools.partial(Dense, config, self.compute)
    widen = functools.partial(
      dense, ("embed", "mlp"), (config.intermediate_size,)
    )
    down = dense(
      ("mlp", "embed"), (config.hidden_size,), place="out", name="mlp_down"
    )
    up, act = widen(name="mlp_up"), activation(config)
    if config.feed_forward == "gated":
      gate_BSF = widen(name="mlp_gate")(hidden_BSD)
      inner_BSF = gated(act, gate_BSF, up(hidden_BSD))
    else:
      inner_BSF = act(up(hidden_BSD))
    inner_BSF = with_logical_constraint(inner_BSF, ("batch", "length", "mlp"))
    place, rate = config.mlp_dropout_place, config.hidden_dropout_rate
    if place == "inner":
      inner_BSF = self._drop(inner_BSF, rows_B, rate)
    output_BSD = down(inner_BSF)
    if place == "output":
      output_BSD = self._drop(output_BSD, rows_B, rate)
    return output_BSD


def _attention_output_rate(config: ModelConfig) -> float:
  return {
    "hidden": config.hidden_dropout_rate,
    "attention": config.attention_dropout_rate,
    "none": 0.0,
  }[config.attention_output_dropout]


class SharedLayers(Layer, kw_only=True):
  """Neighboring layers with the same weights, which are compiled once.

  Attributes:
    repeats: number of the layers.
  """

  repeats: int

  @nn.compact
  def __call__(
    self,
    hidden_BSD: Array,
    inputs: LayerInputs,
    choice: LayerChoice | None = None,
  ) -> tuple[Array, None]:
    """Return the `hidden_BSD` after all of these layers, and None."""

    def run(layer: Layer, hidden_BSD: Array) -> tuple[Array, None]:
      return layer._run(hidden_BSD, inputs, choice), None

    stack: Any = nn.scan(
      _recomputed(run, self.compute),
      variable_broadcast="params",
      variable_axes={"intermediates": 0},
      split_rngs={"params": False, "dropout": True},
      length=self.repeats,
      unroll=_unroll(self.compute, self.repeats),
    )
    return stack(self, hidden_BSD)


def _unroll(compute: ComputeConfig, length: int) -> int:
  """Return how many of `length` layers an iteration of their scan has."""
  return min(max(compute.unroll, 1), length)


def _recomputed(layer: Any, compute: ComputeConfig) -> Any:
  """Return a layer, a class or a function, that `compute.remat` recomputes."""
  policy = REMAT_POLICIES.get(compute.remat)
  if policy is None:
    return layer
  return nn.remat(layer, policy=policy, prevent_cse=False)


class Encoder(nn.Module):
  """Features → hidden states.

  The parameters of all layers are stacked on axis 0, for the scan; of layers
  that share theirs, those of each group. Of a call with
  `mutable=["intermediates"]`, `layers/hidden_BSD` has the hidden states after
  each layer, stacked in the same way, with an axis more for the layers of a
  group. A norm after the last layer is not in them.
  """

  config: ModelConfig
  compute: ComputeConfig
  frozen: Frozen = Frozen()

  def setup(self) -> None:
    """Make the embeddings here, so that `word_table` finds them."""
    self.embeddings = Embeddings(self.config, self.compute)

  def word_table(self) -> Array:
    """Return the float32 `table_VD` of word embeddings, for a tied head."""
    return self.embeddings.word.embedding

  @nn.compact
  def __call__(
    self, features: Mapping[str, Array], *, deterministic: bool
  ) -> Array:
    """Return `hidden_BSD` of the last layer, normalized."""
    hidden_BSD = self.embeddings(features, deterministic=deterministic)
    hidden_BSD = with_logical_constraint(hidden_BSD, HIDDEN_AXES)
    inputs = layer_inputs(features, self.config)
    if self.frozen.embeddings:
      hidden_BSD = jax.lax.stop_gradient(hidden_BSD)
    if self.frozen.layers and not self.is_initializing():
      hidden_BSD = self._with_frozen_layers(hidden_BSD, inputs, deterministic)
    else:
      stack = self._stack(self.config.num_stacked, deterministic, name="layers")
      hidden_BSD, _ = stack(hidden_BSD, inputs, layer_choices(self.config))
    if self.config.norm_position == "pre":
      last = Norm(self.config, self.compute, name="final_layer_norm")
      hidden_BSD = last(hidden_BSD)
    return hidden_BSD

  def _with_frozen_layers(
    self, hidden_BSD: Array, inputs: LayerInputs, deterministic: bool
  ) -> Array:
    """Run the lowest layers and the others as a scan each.

    The reverse pass of one scan would run through all of its layers.
    """
    lowest, params = self.frozen.layers, self.variables["params"]["layers"]
    choices_L = layer_choices(self.config)
    for count, part, of_part in (
      (
        lowest,
        slice(lowest),
        lambda leaf: jax.lax.stop_gradient(leaf[:lowest]),
      ),
      (
        self.config.num_layers - lowest,
        slice(lowest, None),
        lambda leaf: leaf[lowest:],
      ),
    ):
      stack = self._stack(count, deterministic, parent=None)
      keys = {} if deterministic else {"dropout": self.make_rng("dropout")}
      hidden_BSD, _ = stack.apply(
        {"params": jax.tree.map(of_part, params)},
        hidden_BSD,
        inputs,
        jax.tree.map(lambda leaf, part=part: leaf[part], choices_L),
        rngs=keys,
      )
    return hidden_BSD

  def _stack(self, length: int, deterministic: bool, **own: Any) -> Any:
    """Return a scan over layers, or over groups of layers.

    Args:
      length: number of layers or groups.
      deterministic: whether nothing is dropped.
      **own: name or parent of the module.
    """
    config, layer = self.config, _recomputed(Layer, self.compute)
    if config.layer_groups:
      layer = SharedLayers
      own["repeats"] = config.num_layers // config.layer_groups
    stack = nn.scan(
      layer,
      variable_axes={"params": 0, "intermediates": 0},
      split_rngs={"params": True, "dropout": True},
      in_axes=INPUT_AXES,
      length=length,
      unroll=_unroll(self.compute, length),
      metadata_params={nn.PARTITION_NAME: "layers"},
    )
    return stack(config, self.compute, deterministic, **own)
