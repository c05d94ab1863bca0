# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Losses and accuracies as {name: (sum, weight)} (design law 4).

The total that is differentiated is Σₖ coefficientₖ · sumₖ / Wₖ with Wₖ of the
whole global batch, so that accumulation over micro-batches equals the large
batch. Logits are float32; so is everything here.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.config import ObjectiveConfig
from bertjax.model.ops.cross_entropy import cross_entropy, take_along_last
from bertjax.model.parameters import pair_loss_parts
from bertjax.objectives.masking import Masked
from bertjax.objectives.metrics import Metrics, ratio

Array = jax.Array


def coefficients(objective: ObjectiveConfig) -> dict[str, float]:
  """What each loss counts for in the total; the keys name the losses."""
  losses = {"mlm_loss": 1.0}
  if has_pair_loss(objective):
    losses[f"{objective.next_sentence}_loss"] = objective.next_sentence_weight
  return losses


def has_pair_loss(objective: ObjectiveConfig) -> bool:
  """Whether the pooler and the pair head receive a gradient."""
  return objective.next_sentence != "off" and objective.next_sentence_weight > 0


def inactive_parameters(objective: ObjectiveConfig) -> tuple[str, ...]:
  """Paths of the parameters that no loss of `objective` reaches.

  They stay at their initial values: no update and no decay.
  """
  return () if has_pair_loss(objective) else pair_loss_parts()


def pretraining_weights(
  masked: Masked, pair_label_BR: Array, objective: ObjectiveConfig
) -> dict[str, Array]:
  """Weight of each loss, known before the model runs."""
  weights = {"mlm_loss": jnp.sum(masked.weights_BP)}
  if has_pair_loss(objective):
    weights[f"{objective.next_sentence}_loss"] = jnp.sum(
      _labelled(pair_label_BR)
    )
  return weights


def pretraining_losses(
  outputs: Mapping[str, Array],
  masked: Masked,
  pair_label_BR: Array,
  objective: ObjectiveConfig,
  log_unigram_V: np.ndarray | None,
) -> Metrics:
  """Losses, accuracies and the unigram entropy of the same targets.

  Args:
    outputs: float32 `mlm_logits_BPV` and `pair_logits_BR2` of the model.
    masked: what was hidden and where.
    pair_label_BR: −1 none, else the class of the pair.
    objective: with a pair loss, `nsp_…` (or `sop_…`) appears.
    log_unigram_V: log share of each piece in the training split, or None.

  Returns:
    `mlm_loss`, `mlm_accuracy`; `nsp_loss`, `nsp_accuracy` with a pair
    loss; `unigram_entropy` (mean −log p of exactly the masked targets) with
    a table; `mask_shortfall`, of the pieces that the mask rate asks for, with
    words or spans; natural logarithms.
  """
  metrics = _scores(
    "mlm", outputs["mlm_logits_BPV"], masked.targets_BP, masked.weights_BP
  )
  if has_pair_loss(objective):
    metrics |= _scores(
      objective.next_sentence,
      outputs["pair_logits_BR2"],
      jnp.maximum(pair_label_BR, 0),
      _labelled(pair_label_BR),
    )
  if objective.mask_unit != "token":
    short, hidden = jnp.sum(masked.shortfall_B), jnp.sum(masked.weights_BP)
    short = short.astype(jnp.float32)
    metrics["mask_shortfall"] = (short, short + hidden)
  if log_unigram_V is not None:
    surprise_BP = -jnp.asarray(log_unigram_V)[masked.targets_BP]
    metrics["unigram_entropy"] = (
      jnp.sum(surprise_BP * masked.weights_BP),
      jnp.sum(masked.weights_BP),
    )
  return metrics


def classification_losses(
  logits_BC: Array, label_B: Array, weight_B: Array
) -> Metrics:
  """`loss` and `accuracy` of one label a row; weight 0 drops a row."""
  scores = _scores("label", logits_BC, label_B, weight_B)
  return {
    "loss": scores["label_loss"],
    "accuracy": scores["label_accuracy"],
  }


def weighted_total(
  losses: Mapping[str, tuple[Array, Array]],
  weights: Mapping[str, Array],
  coefficients: Mapping[str, float],
) -> Array:
  """Scalar Σₖ coefficientₖ · sumₖ / Wₖ; `weights` are the global ones."""
  terms = [
    np.float32(coefficient) * ratio(losses[name][0], weights[name])
    for name, coefficient in coefficients.items()
  ]
  return jnp.sum(jnp.stack(terms))


def _labelled(pair_label_BR: Array) -> Array:
  return (pair_label_BR >= 0).astype(jnp.float32)


def _scores(
  name: str, logits: Array, targets: Array, weights: Array
) -> Metrics:
  """Cross-entropy and accuracy over the last axis of `logits`.

  The answer is right when its logit is the largest, which costs less than an
  argmax; among equal logits every one is.
  """
  weight = jnp.sum(weights)
  fixed = jax.lax.stop_gradient(logits)
  right = take_along_last(fixed, targets) >= jnp.max(fixed, axis=-1)
  losses = cross_entropy(logits, targets)
  return {
    f"{name}_loss": (jnp.sum(losses * weights), weight),
    f"{name}_accuracy": (
      jnp.sum(right.astype(jnp.float32) * weights),
      weight,
    ),
  }
