# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Losses against float64, and what each objective reaches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ObjectiveConfig
from bertjax.objectives import losses as objectives
from bertjax.objectives.masking import Masked
from bertjax.objectives.metrics import MetricSums

NSP = ObjectiveConfig(next_sentence="nsp")
OFF = ObjectiveConfig(next_sentence="off")
DROPPED = ObjectiveConfig(next_sentence="nsp", next_sentence_weight=0.0)
B, P, R, V = 6, 5, 2, 40


@pytest.fixture
def made():
  """(outputs, masked, pair labels), some slots and labels empty."""
  draw = np.random.default_rng(0)
  weights_BP = (draw.random((B, P)) < 0.6).astype(np.float32)
  masked = Masked(
    tokens_BS=jnp.zeros((B, 1), jnp.int32),
    positions_BP=jnp.zeros((B, P), jnp.int32),
    targets_BP=jnp.asarray(draw.integers(0, V, (B, P)), jnp.int32),
    weights_BP=jnp.asarray(weights_BP),
    kind_BP=jnp.zeros((B, P), jnp.int32),
    shortfall_B=jnp.arange(B, dtype=jnp.int32),
  )
  outputs = {
    "mlm_logits_BPV": jnp.asarray(
      30 * draw.standard_normal((B, P, V)), jnp.float32
    ),
    "pair_logits_BR2": jnp.asarray(
      draw.standard_normal((B, R, 2)), jnp.float32
    ),
  }
  labels = jnp.asarray(draw.integers(-1, 2, (B, R)), jnp.int32)
  return outputs, masked, labels


def means(metrics):
  sums = MetricSums()
  sums.add(metrics)
  return sums.means()


def by_hand(logits, targets, weights):
  """(mean loss, accuracy) in float64."""
  logits = np.asarray(logits, np.float64)
  logits -= logits.max(axis=-1, keepdims=True)
  log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
  right = logits.argmax(axis=-1) == targets
  losses = -np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
  return (losses * weights).sum() / weights.sum(), (
    right * weights
  ).sum() / weights.sum()


def test_losses_and_accuracies_equal_a_float64_derivation(made):
  outputs, masked, labels = made
  got = means(objectives.pretraining_losses(outputs, masked, labels, NSP, None))
  mlm = by_hand(
    outputs["mlm_logits_BPV"],
    np.asarray(masked.targets_BP),
    np.asarray(masked.weights_BP),
  )
  real = np.asarray(labels) >= 0
  nsp = by_hand(
    outputs["pair_logits_BR2"], np.where(real, labels, 0), real.astype(float)
  )
  assert [got["mlm_loss"], got["mlm_accuracy"]] == pytest.approx(mlm, rel=1e-6)
  assert [got["nsp_loss"], got["nsp_accuracy"]] == pytest.approx(nsp, rel=1e-6)


def test_the_gradient_of_the_loss_is_softmax_minus_target(made):
  outputs, masked, labels = made
  loss = lambda logits: objectives.pretraining_losses(
    {**outputs, "mlm_logits_BPV": logits}, masked, labels, NSP, None
  )["mlm_loss"][0]
  got = jax.grad(loss)(outputs["mlm_logits_BPV"])
  expected = jax.nn.softmax(outputs["mlm_logits_BPV"]) - jax.nn.one_hot(
    masked.targets_BP, V
  )
  expected *= masked.weights_BP[..., None]
  np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_large_logits_overflow_nothing(made, shift):
  outputs, masked, labels = made
  far = {name: logits + shift for name, logits in outputs.items()}
  near = objectives.pretraining_losses(outputs, masked, labels, NSP, None)
  moved = objectives.pretraining_losses(far, masked, labels, NSP, None)
  for name in ("mlm_loss", "nsp_loss"):
    assert float(moved[name][0]) == pytest.approx(
      float(near[name][0]), rel=1e-3
    )


def test_unigram_entropy_is_of_the_same_targets(made):
  outputs, masked, labels = made
  table_V = np.log(np.arange(1, V + 1) / np.arange(1, V + 1).sum())
  got = means(
    objectives.pretraining_losses(
      outputs, masked, labels, OFF, table_V.astype(np.float32)
    )
  )
  real_BP = np.asarray(masked.weights_BP) > 0
  expected = -table_V[np.asarray(masked.targets_BP)[real_BP]].mean()
  assert got["unigram_entropy"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
  ("objective", "losses", "inactive"),
  [
    (NSP, {"mlm_loss": 1.0, "nsp_loss": 1.0}, ()),
    (
      ObjectiveConfig(next_sentence="sop", next_sentence_weight=0.5),
      {"mlm_loss": 1.0, "sop_loss": 0.5},
      (),
    ),
    (OFF, {"mlm_loss": 1.0}, ("pooler", "pair_head")),
    (DROPPED, {"mlm_loss": 1.0}, ("pooler", "pair_head")),
  ],
)
def test_each_objective_has_its_losses(made, objective, losses, inactive):
  outputs, masked, labels = made
  assert objectives.coefficients(objective) == losses
  assert objectives.inactive_parameters(objective) == inactive
  weights = objectives.pretraining_weights(masked, labels, objective)
  got = objectives.pretraining_losses(outputs, masked, labels, objective, None)
  assert weights.keys() == losses.keys()
  assert {name for name in got if name.endswith("_loss")} == losses.keys()
  for name, weight in weights.items():
    assert weight == got[name][1]


def test_rows_cut_in_parts_add_up_to_the_whole(made):
  """Σₖ sumₖ / Wₖ(global) over micro-batches, with unequal mask counts."""
  outputs, masked, labels = made
  weights = objectives.pretraining_weights(masked, labels, NSP)
  terms = objectives.coefficients(NSP)

  def total(rows):
    part = lambda tree: jax.tree.map(lambda leaf: leaf[rows], tree)
    losses = objectives.pretraining_losses(
      part(outputs), part(masked), part(labels), NSP, None
    )
    return objectives.weighted_total(losses, weights, terms)

  parts = [total(slice(b, b + 2)) for b in range(0, B, 2)]
  assert float(sum(parts)) == pytest.approx(float(total(slice(None))), rel=1e-6)


def test_classification_drops_rows_of_weight_zero():
  draw = np.random.default_rng(0)
  logits_BC = draw.standard_normal((8, 3)).astype(np.float32)
  label_B = draw.integers(0, 3, 8).astype(np.int32)
  weight_B = np.array([1, 1, 0, 1, 1, 0, 1, 1], np.float32)
  got = means(
    objectives.classification_losses(
      *map(jnp.asarray, (logits_BC, label_B, weight_B))
    )
  )
  expected = by_hand(logits_BC, label_B, weight_B)
  assert [got["loss"], got["accuracy"]] == pytest.approx(expected, rel=1e-6)
