# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Losses and accuracies as {name: (sum, weight)}, in float32.

The total that is differentiated is Σₖ coefficientₖ · sumₖ / Wₖ with Wₖ of the
whole global batch, so that accumulation over micro-batches equals the large
batch (docs/design.md, law 4).
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.model.ops.cross_entropy import cross_entropy, take_along_last
from bertjax.objectives.metrics import Metrics, ratio

Array = jax.Array


def classification_losses(
  logits_BC: Array,
  label_B: Array,
  weight_B: Array,
  smoothing: float = 0.0,
  focal_exponent: float = 0.0,
) -> Metrics:
  """Return `loss` and `accuracy` of one label a row; weight 0 drops a row.

  With `smoothing` ε the target is 1 − ε for the label, and ε divided by all
  classes. With an exponent γ a row counts (1 − p)^γ times as much, where p is
  the probability of its label. Other axes may stand for B.
  """
  if focal_exponent:
    # The cross-entropy is −log p.
    wrong_B = -jnp.expm1(-cross_entropy(logits_BC, label_B))
    found = classification_losses(
      logits_BC, label_B, weight_B * wrong_B**focal_exponent, smoothing
    )
    plain = cross_entropy_metrics("label", logits_BC, label_B, weight_B)
    accuracy = plain["label_accuracy"]
    return {"loss": (found["loss"][0], accuracy[1]), "accuracy": accuracy}
  scores = cross_entropy_metrics("label", logits_BC, label_B, weight_B)
  loss, weight = scores["label_loss"]
  if smoothing:
    chosen_B = take_along_last(logits_BC, label_B)
    excess_B = chosen_B - jnp.mean(logits_BC, axis=-1)
    loss += np.float32(smoothing) * jnp.sum(excess_B * weight_B)
  return {"loss": (loss, weight), "accuracy": scores["label_accuracy"]}


def weighted_total(
  losses: Mapping[str, tuple[Array, Array]],
  weights: Mapping[str, Array],
  coefficients: Mapping[str, float],
) -> Array:
  """Return Σₖ coefficientₖ · sumₖ / Wₖ; `weights` are of the global batch."""
  terms = [
    np.float32(coefficient) * ratio(losses[name][0], weights[name])
    for name, coefficient in coefficients.items()
  ]
  return jnp.sum(jnp.stack(terms))


def cross_entropy_metrics(
  name: str, logits: Array, targets: Array, weights: Array
) -> Metrics:
  """Return `NAME_loss` and `NAME_accuracy` over the last axis of `logits`."""
  weight = jnp.sum(weights)
  right = is_right(logits, targets)
  losses = cross_entropy(logits, targets)
  return {
    f"{name}_loss": (jnp.sum(losses * weights), weight),
    f"{name}_accuracy": (jnp.sum(right * weights), weight),
  }


def is_right(logits: Array, targets: Array) -> Array:
  """Return 1.0 where the logit of the target is the largest, without gradient.

  This costs less than an argmax. Of equal logits each counts as the largest.
  """
  fixed = jax.lax.stop_gradient(logits)
  right = take_along_last(fixed, targets) >= jnp.max(fixed, axis=-1)
  return right.astype(jnp.float32)
