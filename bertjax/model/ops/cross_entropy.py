# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The cross-entropy of a softmax, with its derivative written out."""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


@jax.custom_vjp
def cross_entropy(logits: Array, targets: Array) -> Array:
  """Return −log softmax(logits)[..., targets], over the last axis, float32.

  The target's logit is found by comparison: a gather is slow on CPU, and does
  not split over a sharded vocabulary.
  """
  return _cross_entropy_forward(logits, targets)[0]


def _cross_entropy_forward(logits: Array, targets: Array) -> tuple[Array, Any]:
  largest = jnp.max(logits, axis=-1)
  # Saved for the backward pass, which would take the exponential again.
  share = jnp.exp(logits - largest[..., None])
  partition = jnp.sum(share, axis=-1)
  loss = jnp.log(partition) + largest - take_along_last(logits, targets)
  return loss, (share, partition, targets)


def _cross_entropy_backward(saved: Any, gradient: Array) -> tuple[Array, None]:
  share, partition, targets = saved
  slope = share * (gradient / partition)[..., None]
  at_target = jnp.where(_is_target(share, targets), gradient[..., None], 0.0)
  return slope - at_target, None


cross_entropy.defvjp(_cross_entropy_forward, _cross_entropy_backward)


def take_along_last(logits: Array, targets: Array) -> Array:
  """Return `logits[..., targets]`, one value for each target."""
  return jnp.sum(jnp.where(_is_target(logits, targets), logits, 0.0), axis=-1)


def _is_target(logits: Array, targets: Array) -> Array:
  classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
  return classes == targets[..., None]
