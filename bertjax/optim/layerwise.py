# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Layers of a pre-trained encoder that move slowly, late, or not at all."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bertjax.config import LayersConfig
from bertjax.model.parameters import EMBEDDINGS, Parameter, map_parameters


class LayerwiseState(NamedTuple):
  """How many steps were taken."""

  taken: jax.Array


def scale_by_layer(
  config: LayersConfig, num_layers: int, steps: int
) -> optax.GradientTransformation:
  """Scale the update of each layer; what is above the encoder stays as it is.

  A layer that is n layers below the head moves by `learning_rate_decay`ⁿ: the
  top layer by the factor itself, the embeddings last (Howard and Ruder, 2018,
  "Universal language model fine-tuning", section 3.2, and Clark et al., 2020,
  ELECTRA, appendix B). Frozen layers get no update and no weight decay. With
  `unfreezing_rate`, the head is trained alone at first, and then one layer
  more at a time, from the top (Howard and Ruder, section 3.3).

  Args:
    config: how the layers move.
    num_layers: number of layers of the encoder.
    steps: number of steps of a run.
  """
  below_L = np.arange(num_layers, 0, -1)  # the layers' distance from the head
  factors_L = config.learning_rate_decay**below_L
  factors_L[: config.frozen] = 0.0
  is_frozen = config.frozen or config.frozen_embeddings
  bottom = config.learning_rate_decay ** (num_layers + 1)
  of_embeddings = 0.0 if is_frozen else bottom
  thawing = config.unfreezing_rate * steps / (num_layers + 1)

  def scale(row: Parameter, update: jax.Array, taken: jax.Array) -> jax.Array:
    if row.is_stacked:
      factors, below = factors_L, below_L
    elif row.name.startswith(f"{EMBEDDINGS}/"):
      factors, below = np.asarray(of_embeddings), np.asarray(num_layers + 1)
    else:
      return update
    shape = (*factors.shape, *(1,) * (update.ndim - factors.ndim))
    moves = taken >= np.ceil(thawing * below).astype(np.int32)
    factor = jnp.where(moves, factors.astype(np.float32), np.float32(0))
    return update * factor.reshape(shape)

  def init(params: optax.Params) -> LayerwiseState:
    del params
    return LayerwiseState(jnp.zeros((), jnp.int32))

  def update(
    updates: optax.Updates, state: Any, params: optax.Params | None = None
  ) -> tuple[optax.Updates, LayerwiseState]:
    del params
    scaled = map_parameters(
      lambda row, leaf: scale(row, leaf, state.taken), updates
    )
    return scaled, LayerwiseState(state.taken + 1)

  return optax.GradientTransformation(init, update)
