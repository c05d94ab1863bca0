# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The layers that every part of the model is made of."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.model.ops.functions import gelu, gelu_tanh, normalise, project
from bertjax.model.ops.random_bits import bits16

Array = jax.Array
Axes = tuple[str | None, ...]
Initializer = Callable[..., Any]  # of an array, boxed with its axes


def weights(config: ModelConfig, axes: Axes) -> Initializer:
  """Initializer of a kernel or table whose axes have these logical names.

  A normal of `initializer_std` cut at two standard deviations, so that its
  own standard deviation is 0.88 of that (google-research/bert, modeling.py).
  """
  init = nn.initializers.truncated_normal(config.initializer_std)
  return _boxed(init, axes)


def sinusoids(config: ModelConfig, axes: Axes) -> Initializer:
  """Initializer of a position table, with the spread of `initializer_std`.

  Sines and cosines as of Vaswani et al. (2017, section 3.5), but with
  wavelengths from 2π positions to the length of the table: theirs go on to
  10000 · 2π, and half of the columns hardly change over a row.
  """

  def init(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Any:
    del key
    length, width = shape
    column_D = np.arange(width)
    longest = max(length / (2 * np.pi), 1.0)
    rate_D = longest ** (-2 * (column_D // 2) / width)
    # A cosine is a sine that is a quarter ahead.
    angle_SD = np.arange(length)[:, None] * rate_D + column_D % 2 * np.pi / 2
    scale = config.initializer_std * 2**0.5
    return jnp.asarray(scale * np.sin(angle_SD), dtype)

  return _boxed(init, axes)


def zeros(*axes: str | None) -> Initializer:
  """Initializer of a bias whose axes have these logical names."""
  return _boxed(nn.initializers.zeros_init(), axes)


def _boxed(init: Initializer, axes: Axes) -> Initializer:
  return lambda *arguments: Named(init(*arguments), axes)


class Named(nn.LogicallyPartitioned):
  """A parameter and the names of its axes.

  The names say where it is born, and nothing while it is used.
  """

  def unbox(self, apply_constraint: bool = True) -> Any:
    """Return the array, unconstrained."""
    del apply_constraint
    return self.value


class Dense(nn.Module):
  """A projection of the last axes of its input, and a bias.

  The product is in the dtype of compute. The bias is added in float32, so
  that its gradient, a sum over all positions, is one of float32 too.

  Attributes:
    config: of the model.
    compute: of the model.
    axes: logical names of the kernel's axes, those of the input first.
    features: sizes of the output's axes.
  """

  config: ModelConfig
  compute: ComputeConfig
  axes: Axes
  features: tuple[int, ...]

  @nn.compact
  def __call__(self, inputs: Array) -> Array:
    """Return the last axes of `inputs` projected to `features`."""
    dtype = jnp.dtype(self.compute.dtype)
    contracted = len(self.axes) - len(self.features)
    shape = (*inputs.shape[inputs.ndim - contracted :], *self.features)
    kernel = self.param("kernel", weights(self.config, self.axes), shape)
    bias = self.param("bias", zeros(*self.axes[contracted:]), self.features)
    output = project(inputs.astype(dtype), kernel.astype(dtype), contracted)
    spread = bias.reshape((1,) * (output.ndim - bias.ndim) + bias.shape)
    return (output.astype(jnp.float32) + spread).astype(dtype)


class LayerNorm(nn.Module):
  """Layer normalisation over the last axis, statistics in float32.

  linen's own promotes dtypes implicitly in bfloat16.
  """

  epsilon: float
  dtype: str

  @nn.compact
  def __call__(self, hidden: Array) -> Array:
    """Return `hidden` normalised, in `dtype`; any rank."""
    width = hidden.shape[-1]
    ones = nn.initializers.ones_init()
    scale_D = self.param("scale", _boxed(ones, ("embed",)), (width,))
    bias_D = self.param("bias", zeros("embed"), (width,))
    output: Array = normalise(hidden, scale_D, bias_D, self.epsilon)
    return output.astype(self.dtype)


class Dropout(nn.Module):
  """Dropout from the flax rng collection `dropout`, one key a step."""

  rate: float

  @nn.compact
  def __call__(
    self, hidden: Array, rows_B: Array, *, deterministic: bool
  ) -> Array:
    """Return `hidden` with a share of `rate` zeroed, the rest scaled up.

    `rows_B` is the number of each row in the global batch.
    """
    if deterministic or self.rate == 0.0:
      return hidden
    bits = bits16(self.make_rng("dropout"), hidden.shape, rows_B)
    scaled = hidden * kept_scale(self.rate)
    return jnp.where(
      bits < dropped_below(self.rate), jnp.zeros_like(hidden), scaled
    )


def dropped_below(rate: float) -> int:
  """Return the bound below which 16 random bits drop their element."""
  return round(rate * 2**16)


def kept_scale(rate: float) -> float:
  """Return what elements that stay are multiplied by.

  The share that is kept is exact, and so is its inverse.
  """
  return 2**16 / (2**16 - dropped_below(rate))


def activation(config: ModelConfig) -> Callable[[Array], Array]:
  """The feed-forward non-linearity named by `config.activation`.

  Raises:
    ValueError: a name other than gelu and gelu_tanh.
  """
  if config.activation not in ACTIVATIONS:
    raise ValueError(
      f"activation={config.activation!r}; give one of {sorted(ACTIVATIONS)}"
    )
  return ACTIVATIONS[config.activation]


ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh}
