# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""LAMB's trust ratio, layer by layer."""

from typing import Any

import jax
import optax

from bertjax.model.parameters import Parameter, map_parameters


def scale_by_layer_trust_ratio() -> optax.GradientTransformation:
  """Scale the update u of every parameter w by ‖w‖ / ‖u‖.

  You et al. (2019, arXiv 1904.00962), algorithm 2, with φ(z) = z as in
  NVIDIA's and Google's code. The ratio is 1 where either norm is 0, and u
  includes the weight decay. `optax.scale_by_trust_ratio` takes one ratio an
  array; here each layer of a stacked parameter has its own ratio.
  """
  ratio = optax.scale_by_trust_ratio()

  def scaled(update: jax.Array, param: jax.Array) -> Any:
    return ratio.update(update, optax.EmptyState(), param)[0]

  def scale(row: Parameter, update: jax.Array, param: jax.Array) -> Any:
    by_layer = jax.vmap(scaled) if row.is_stacked else scaled
    return by_layer(update, param)

  def update(
    updates: optax.Updates, state: Any, params: optax.Params | None = None
  ) -> tuple[optax.Updates, Any]:
    return map_parameters(scale, updates, params), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
