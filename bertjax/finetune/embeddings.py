# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A vector for each text, from the hidden states of an encoder.

`cls` is the last hidden state of [CLS], `mean` and `max` are over the last
hidden states of all tokens, and `last4` is the mean over all tokens and the
last four layers (Devlin et al., 2018, section 5.3, has them side by side).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.finetune import separate_layers
from bertjax.finetune.fixed_shapes import FixedShapes
from bertjax.model.encoder import Encoder
from bertjax.model.heads import gather_positions, mean_of_packs
from bertjax.model.parameters import ENCODER
from bertjax.objectives.task import Features

Array = jax.Array
POOLINGS = ("cls", "mean", "max", "last4")
_LAYERS = 4


def embed_in_fixed_shapes(
  params: Any,
  encoder: ModelConfig,
  poolings: Sequence[str],
  *,
  seq_length: int,
  normalize: bool = False,
  batch_size: int = 0,
  compute: ComputeConfig | None = None,
) -> FixedShapes:
  """Return what computes float32 `NAME_ND` for each of the poolings.

  Args:
    params: parameters of a model; those of its encoder are used.
    encoder: its shape.
    poolings: names of `POOLINGS`.
    seq_length: the longest text.
    normalize: whether vectors get the length 1.
    batch_size: as `FixedShapes` takes it.
    compute: how to compute; None is float32.
  """
  compute, params = compute or ComputeConfig(), encoder_params(params)
  if separate_layers.helps():
    compute = separate_layers.unrolled(compute, encoder.num_layers)
  model = Encoder(encoder, compute)

  def outputs(params: Any, rows: Features) -> Mapping[str, Array]:
    params = separate_layers.stack(params)
    hidden_BSD, layers_LBSD = _hidden(model, params, rows, "last4" in poolings)
    vectors = {
      f"{name}_BRD": _pool(name, hidden_BSD, layers_LBSD, rows)
      for name in poolings
    }
    if normalize:
      vectors = {name: _normalize(each) for name, each in vectors.items()}
    return vectors

  return FixedShapes(outputs, params, seq_length, batch_size)


def encoder_params(params: Any) -> Any:
  """Return what `FixedShapes.with_params` takes of a model's parameters."""
  own = params[ENCODER]
  return separate_layers.separate(own) if separate_layers.helps() else own


def hidden_by_layer(
  model: Encoder, params: Any, rows: Features
) -> tuple[Array, Array]:
  """Return the last `hidden_BSD`, and those after each layer: `layers_LBSD`."""
  found: Any = model.apply(
    {"params": params}, rows, deterministic=True, mutable=["intermediates"]
  )
  hidden_BSD, kept = found
  (layers_LBSD,) = kept["intermediates"]["layers"]["hidden_BSD"]
  # Groups of layers that share weights have an axis of their own.
  return hidden_BSD, layers_LBSD.reshape(-1, *hidden_BSD.shape)


def _hidden(
  model: Encoder, params: Any, rows: Features, with_layers: bool
) -> tuple[Array, Array]:
  if with_layers:
    return hidden_by_layer(model, params, rows)
  hidden_BSD: Any = model.apply({"params": params}, rows, deterministic=True)
  return hidden_BSD, hidden_BSD[None]


def _pool(
  name: str, hidden_BSD: Array, layers_LBSD: Array, rows: Features
) -> Array:
  """Return float32 `vectors_BRD`, R = 1."""
  hidden_BSD = hidden_BSD.astype(jnp.float32)
  if name == "cls":
    return gather_positions(hidden_BSD, rows["starts_BR"])
  if name == "mean":
    return mean_of_packs(hidden_BSD, rows)
  if name == "last4":
    last_BSD = layers_LBSD[-_LAYERS:].astype(jnp.float32).mean(axis=0)
    return mean_of_packs(last_BSD, rows)
  is_text_BS1 = rows["packs_BS"][:, :, None] > 0
  largest_BRD = jnp.where(is_text_BS1, hidden_BSD, -jnp.inf).max(
    axis=1, keepdims=True
  )
  # A row of padding has no token at all.
  return jnp.where(jnp.isfinite(largest_BRD), largest_BRD, 0.0)


def _normalize(vectors_BRD: Array) -> Array:
  length_BR1 = jnp.linalg.norm(vectors_BRD, axis=-1, keepdims=True)
  return vectors_BRD / jnp.maximum(length_BR1, 1e-12)
