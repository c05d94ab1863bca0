# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder: embeddings and a scanned stack of post-norm layers."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
from flax.linen.spmd import with_logical_constraint

from bertjax.config import ComputeConfig, ModelConfig, choices
from bertjax.model.attention import LayerInputs, SelfAttention, layer_inputs
from bertjax.model.embeddings import Embeddings
from bertjax.model.layers import Dense, Dropout, LayerNorm, activation
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
# linen annotates `in_axes` as int, and documents `broadcast`.
BROADCAST: Any = nn.broadcast
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
  """Attention and feed-forward, each with a residual and a norm (post-norm)."""

  config: ModelConfig
  compute: ComputeConfig
  deterministic: bool

  @nn.compact
  def __call__(
    self, hidden_BSD: Array, inputs: LayerInputs
  ) -> tuple[Array, None]:
    """Return the next `hidden_BSD`, and None, which the scan stacks."""
    attention = SelfAttention(
      self.config, self.compute, self.deterministic, name="attention"
    )
    add = functools.partial(self._add_and_normalize, inputs.rows_B)
    hidden_BSD = add(
      hidden_BSD, attention(hidden_BSD, inputs), "attention_layer_norm"
    )
    hidden_BSD = add(
      hidden_BSD, self._feed_forward(hidden_BSD), "mlp_layer_norm"
    )
    hidden_BSD = with_logical_constraint(hidden_BSD, HIDDEN_AXES)
    # Only for a caller that asks for the collection; see `Encoder`.
    self.sow("intermediates", "hidden_BSD", hidden_BSD)
    return hidden_BSD, None

  def _add_and_normalize(
    self, rows_B: Array, hidden_BSD: Array, update_BSD: Array, name: str
  ) -> Array:
    update_BSD = Dropout(self.config.hidden_dropout_rate)(
      update_BSD, rows_B, deterministic=self.deterministic
    )
    layer_norm = LayerNorm(
      self.config.layer_norm_epsilon, self.compute.dtype, name=name
    )
    return layer_norm(hidden_BSD + update_BSD)

  def _feed_forward(self, hidden_BSD: Array) -> Array:
    config = self.config
    dense = functools.partial(Dense, config, self.compute)
    up = dense(("embed", "mlp"), (config.intermediate_size,), name="mlp_up")
    down = dense(("mlp", "embed"), (config.hidden_size,), name="mlp_down")
    inner_BSF = with_logical_constraint(
      activation(config)(up(hidden_BSD)), ("batch", "length", "mlp")
    )
    return down(inner_BSF)


class Encoder(nn.Module):
  """Features → hidden states.

  The parameters of all layers are stacked on axis 0, for the scan. Of a call
  with `mutable=["intermediates"]`, `layers/hidden_BSD` has the hidden states
  after each layer, stacked in the same way.
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
    """Return `hidden_BSD` of the last layer."""
    hidden_BSD = self.embeddings(features, deterministic=deterministic)
    hidden_BSD = with_logical_constraint(hidden_BSD, HIDDEN_AXES)
    inputs = layer_inputs(features)
    if self.frozen.embeddings:
      hidden_BSD = jax.lax.stop_gradient(hidden_BSD)
    if self.frozen.layers and not self.is_initializing():
      return self._with_frozen_layers(hidden_BSD, inputs, deterministic)
    stack = self._stack(self.config.num_layers)(
      self.config, self.compute, deterministic, name="layers"
    )
    return stack(hidden_BSD, inputs)[0]

  def _with_frozen_layers(
    self, hidden_BSD: Array, inputs: LayerInputs, deterministic: bool
  ) -> Array:
    """Run the lowest layers and the others as a scan each.

    The reverse pass of one scan would run through all of its layers.
    """
    lowest, params = self.frozen.layers, self.variables["params"]["layers"]
    for count, of_part in (
      (lowest, lambda leaf: jax.lax.stop_gradient(leaf[:lowest])),
      (self.config.num_layers - lowest, lambda leaf: leaf[lowest:]),
    ):
      stack = self._stack(count)(
        self.config, self.compute, deterministic, parent=None
      )
      keys = {} if deterministic else {"dropout": self.make_rng("dropout")}
      hidden_BSD, _ = stack.apply(
        {"params": jax.tree.map(of_part, params)}, hidden_BSD, inputs, rngs=keys
      )
    return hidden_BSD

  def _stack(self, num_layers: int) -> Any:
    """Return the class of a scan over layers."""
    layer = Layer
    policy = REMAT_POLICIES.get(self.compute.remat)
    if policy is not None:
      layer = nn.remat(Layer, policy=policy, prevent_cse=False)
    return nn.scan(
      layer,
      variable_axes={"params": 0, "intermediates": 0},
      split_rngs={"params": True, "dropout": True},
      in_axes=BROADCAST,
      length=num_layers,
      unroll=self.compute.unroll,
      metadata_params={nn.PARTITION_NAME: "layers"},
    )
