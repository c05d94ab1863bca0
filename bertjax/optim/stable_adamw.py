# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""StableAdamW: AdamW whose updates are clipped, array by array."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from bertjax.config import OptimizerConfig
from bertjax.model.parameters import Parameter, map_parameters


def clip_by_update_rms(
  adam: optax.GradientTransformation, config: OptimizerConfig
) -> optax.GradientTransformation:
  """Divide each parameter's update by max(1, RMS), RMS² = mean(g² / v).

  Wortsman et al. (2023, arXiv 2304.13013), algorithm 2. v is the corrected
  second moment, at least ε², so that a gradient that is much larger than those
  before makes a small step where Adam makes a large one. The decay is divided
  too. Each layer of a stacked parameter has an RMS of its own.

  Args:
    adam: optax's Adam with bias correction, and the decay.
    config: its ε and the decay of its second moment.
  """

  def divide(update: jax.Array, gradient: jax.Array, v: jax.Array) -> jax.Array:
    square = jnp.mean(gradient**2 / jnp.maximum(v, config.epsilon**2))
    return update / jnp.maximum(1.0, jnp.sqrt(square))

  def clip(row: Parameter, *arrays: jax.Array) -> jax.Array:
    return (jax.vmap(divide) if row.is_stacked else divide)(*arrays)

  def update(
    updates: optax.Updates, state: Any, params: optax.Params | None = None
  ) -> tuple[optax.Updates, Any]:
    directed, state = adam.update(updates, state, params)
    moment, count = (optax.tree.get(state, name) for name in ("nu", "count"))
    with jax.numpy_dtype_promotion("standard"):  # the count is an integer
      moment = optax.tree.bias_correction(moment, config.beta2, count)
    return map_parameters(clip, directed, updates, moment), state

  return optax.GradientTransformation(adam.init, update)
