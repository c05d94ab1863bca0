# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""LAMB's trust ratio, layer by layer."""

from typing import Any

import jax
import optax

from bertjax.optim.stacks import is_stacked


def scale_by_layer_trust_ratio() -> optax.GradientTransformation:
  """Scale the update u of every parameter w by ‖w‖ / ‖u‖.

  You et al. (2019, arXiv 1904.00962), algorithm 2, with φ(z) = z as in
  NVIDIA's and Google's code; the ratio is 1 where either norm is 0. The decay
  is part of u. `optax.scale_by_trust_ratio` takes one ratio an array; layers
  that are stacked by a scan are parameters of their own and each has its own.
  """
  ratio = optax.scale_by_trust_ratio()

  def scaled(update: jax.Array, param: jax.Array) -> Any:
    return ratio.update(update, optax.EmptyState(), param)[0]

  def scale(path: tuple[Any, ...], update: jax.Array, param: jax.Array) -> Any:
    by_layer = jax.vmap(scaled) if is_stacked(path) else scaled
    return by_layer(update, param)

  def update(
    updates: optax.Updates, state: Any, params: optax.Params | None = None
  ) -> tuple[optax.Updates, Any]:
    return jax.tree.map_with_path(scale, updates, params), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
