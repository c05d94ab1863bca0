# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Clipping by the global norm, as one factor."""

from typing import Any

import jax
import jax.numpy as jnp
import optax


def clip_by_global_norm(limit: float) -> optax.GradientTransformation:
  """Scale all gradients by limit / norm where their norm exceeds `limit`.

  The same function as `optax.clip_by_global_norm`, which divides every
  element: compilers fuse a factor into the update that follows, and keep the
  quotients as an array of their own.
  """

  def update(
    updates: optax.Updates, state: Any, params: optax.Params | None = None
  ) -> tuple[optax.Updates, Any]:
    del params
    factor = limit / jnp.maximum(optax.tree.norm(updates), limit)
    return jax.tree.map(lambda leaf: leaf * factor, updates), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
