# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Initializers and small layers, which every part of the model uses."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bertjax.config import ComputeConfig, ModelConfig, choices
from bertjax.config.model import given_rate
from bertjax.model.ops.gelu import gelu, gelu_tanh
from bertjax.model.ops.layer_norm import layer_norm
from bertjax.model.ops.projection import project
from bertjax.model.ops.random_bits import draw, is_dropped, kept_scale
from bertjax.model.ops.rms_norm import rms_norm
from bertjax.model.ops.silu import silu

Array = jax.Array
Axes = tuple[str | None, ...]
# (key, shape, dtype) → an array in a box with the logical names of its axes.
Initializer = Callable[..., Any]
# Where a kernel stands: before a branch's inner states or in a table; where a
# branch ends, or in a head; or before logits of classes.
Place = Literal["inner", "out", "logits"]


def kernel_init(
  config: ModelConfig, axes: Axes, place: Place = "inner"
) -> Initializer:
  """Initialize a kernel or table whose axes have these logical names.

  A normal distribution, truncated at two standard deviations: the truncated
  distribution has 0.88 of its standard deviation (google-research/bert,
  modeling.py), which is that of `config.init` at this place.
  """
  std = config.initializer_std
  if config.init == "scaled":  # transformers, modeling_modernbert.py
    if place == "out":
      std /= (2 * config.num_layers) ** 0.5
    elif place == "logits":
      std = config.hidden_size**-0.5
  return _with_logical_axes(nn.initializers.truncated_normal(std), axes)


def sinusoids(config: ModelConfig, axes: Axes) -> Initializer:
  """Initialize a position table by sines and cosines.

  They are those of Vaswani et al. (2017, section 3.5), but with wavelengths
  from 2π positions to the length of the table. Up to 10000 · 2π, as in the
  paper, half of the columns would hardly change over a row. The root mean
  square is `initializer_std`.
  """

  def init(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Any:
    del key
    length, width = shape
    column_D = np.arange(width)
    longest = max(length / (2 * np.pi), 1.0)
    rate_D = longest ** (-2 * (column_D // 2) / width)
    # A cosine is a sine a quarter of a period ahead.
    angle_SD = np.arange(length)[:, None] * rate_D + column_D % 2 * np.pi / 2
    scale = config.initializer_std * 2**0.5
    return jnp.asarray(scale * np.sin(angle_SD), dtype)

  return _with_logical_axes(init, axes)


def zeros(*axes: str | None) -> Initializer:
  """Initialize a bias whose axes have these logical names."""
  return _with_logical_axes(nn.initializers.zeros_init(), axes)


def _with_logical_axes(init: Initializer, axes: Axes) -> Initializer:
  return lambda *arguments: UnconstrainedPartitioned(init(*arguments), axes)


class UnconstrainedPartitioned(nn.LogicallyPartitioned):
  """A parameter and the logical names of its axes.

  The names say how the parameter is sharded when it is made. linen's own box
  also constrains the sharding wherever the parameter is read; this one does
  not, because a step may read a gathered copy.
  """

  def unbox(self, apply_constraint: bool = True) -> Any:
    """Return the array, unconstrained."""
    del apply_constraint
    return self.value


class Dense(nn.Module):
  """A projection of the last axes of the input, and a bias if there are any.

  The product is in the dtype of `compute`. The bias is added in float32, so
  that its gradient, a sum over all positions, is summed in float32.

  Attributes:
    config: says whether there are biases, and gives the kernel's initializer
      its standard deviation.
    compute: gives the dtype of product and output.
    axes: logical names of the kernel's axes, the input's axes first.
    features: sizes of the output's axes.
    place: where the kernel stands, for its initializer.
  """

  config: ModelConfig
  compute: ComputeConfig
  axes: Axes
  features: tuple[int, ...]
  place: Place = "inner"

  @nn.compact
  def __call__(self, inputs: Array) -> Array:
    """Return the last axes of `inputs` projected to `features`."""
    dtype = jnp.dtype(self.compute.dtype)
    contracted = len(self.axes) - len(self.features)
    shape = (*inputs.shape[inputs.ndim - contracted :], *self.features)
    init = kernel_init(self.config, self.axes, self.place)
    kernel = self.param("kernel", init, shape)
    if not self.config.use_bias:
      return project(inputs.astype(dtype), kernel, contracted)
    bias = self.param("bias", zeros(*self.axes[contracted:]), self.features)
    output = project(inputs.astype(dtype), kernel, contracted)
    bias = bias.reshape((1,) * (output.ndim - bias.ndim) + bias.shape)
    return (output.astype(jnp.float32) + bias).astype(dtype)


class Norm(nn.Module):
  """The normalization of the last axis that `config.norm` names.

  Its statistics are in float32. `nn.LayerNorm` promotes dtypes implicitly when
  it computes in bfloat16.
  """

  config: ModelConfig
  compute: ComputeConfig

  @nn.compact
  def __call__(self, hidden: Array) -> Array:
    """Return `hidden` normalized, in the dtype of `compute`; any rank."""
    width, epsilon = hidden.shape[-1], self.config.layer_norm_epsilon
    ones = nn.initializers.ones_init()
    scale_D = self.param(
      "scale", _with_logical_axes(ones, ("embed",)), (width,)
    )
    output: Array
    if self.config.norm == "rms":
      output = rms_norm(hidden, scale_D, epsilon)
    else:
      bias_D = None
      if self.config.norm == "layer":
        bias_D = self.param("bias", zeros("embed"), (width,))
      output = layer_norm(hidden, scale_D, bias_D, epsilon)
    return output.astype(self.compute.dtype)


class Dropout(nn.Module):
  """Dropout that draws from the flax rng `dropout`.

  Attributes:
    rate: the rate that is asked for; `given_rate` is what the draws give.
    draws: as in `ComputeConfig.dropout_draws`.
  """

  rate: float
  draws: str = "uint16"

  @nn.compact
  def __call__(
    self, hidden: Array, rows_B: Array, *, deterministic: bool
  ) -> Array:
    """Zero a share of `hidden` and scale the rest up, so that means stay.

    `rows_B` is each row's number in the global batch: the same elements are
    dropped however the batch is sharded or cut into micro-batches.
    """
    if deterministic or self.rate == 0.0:
      return hidden
    rate = given_rate(self.rate, self.draws)
    bits = draw(self.make_rng("dropout"), hidden.shape, rows_B, self.draws)
    scaled = hidden * kept_scale(rate)
    return jnp.where(is_dropped(bits, rate), jnp.zeros_like(hidden), scaled)


def activation(config: ModelConfig) -> Callable[[Array], Array]:
  """Return the feed-forward non-linearity named by `config.activation`."""
  return ACTIVATIONS[config.activation]


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
  "gelu": gelu,
  "gelu_tanh": gelu_tanh,
  "silu": silu,
  "relu": jax.nn.relu,
}
assert set(ACTIVATIONS) == set(choices(ModelConfig, "activation"))
