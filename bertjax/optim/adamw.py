# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The direction of BERT's Adam."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from bertjax.config import OptimizerConfig


class UncorrectedAdamState(NamedTuple):
  """Moments of the gradient; bias correction would also need a count."""

  mean: optax.Params
  square: optax.Params


def scale_by_uncorrected_adam(
  config: OptimizerConfig,
) -> optax.GradientTransformation:
  """Return mean / (√square + ε), without bias correction.

  google-research/bert, optimization.py, AdamWeightDecayOptimizer. optax has
  only the Adam with bias correction, whose early steps are smaller by a factor
  of up to (1−β₁) / √(1−β₂).
  """

  def init(params: optax.Params) -> UncorrectedAdamState:
    zeros = lambda: jax.tree.map(jnp.zeros_like, params)
    return UncorrectedAdamState(mean=zeros(), square=zeros())

  def update(
    updates: optax.Updates,
    state: Any,  # UncorrectedAdamState; optax's protocol says any tree
    params: optax.Params | None = None,
  ) -> tuple[optax.Updates, UncorrectedAdamState]:
    del params
    mean = optax.tree.update_moment(updates, state.mean, config.beta1, 1)
    square = optax.tree.update_moment(updates, state.square, config.beta2, 2)
    direction = jax.tree.map(
      lambda m, v: m / (jnp.sqrt(v) + config.epsilon), mean, square
    )
    return direction, UncorrectedAdamState(mean, square)

  return optax.GradientTransformation(init, update)
