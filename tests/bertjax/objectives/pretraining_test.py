# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Losses of pre-training against float64, and what each objective reaches."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ComputeConfig, ObjectiveConfig
from bertjax.objectives import pretraining
from bertjax.objectives.losses import weighted_total
from bertjax.objectives.masking import Masked
from tests.testing import tiny
from tests.testing.losses import by_hand, means

NSP = ObjectiveConfig(next_sentence="nsp")
OFF = ObjectiveConfig(next_sentence="off")
DROPPED = ObjectiveConfig(next_sentence="nsp", next_sentence_weight=0.0)
B, P, R, V = 6, 5, 2, 40


@pytest.fixture
def made():
  """Outputs and a prepared batch; some slots and labels are empty."""
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
    "pair_logits_BRC": jnp.asarray(
      draw.standard_normal((B, R, 2)), jnp.float32
    ),
  }
  labels = jnp.asarray(draw.integers(-1, 2, (B, R)), jnp.int32)
  return outputs, {"masked": masked, "pair_label_BR": labels}


def test_losses_and_accuracies_equal_a_float64_derivation(made):
  outputs, batch = made
  got = means(pretraining.pretraining_losses(outputs, batch, NSP, None))
  mlm = by_hand(
    outputs["mlm_logits_BPV"],
    np.asarray(batch["masked"].targets_BP),
    np.asarray(batch["masked"].weights_BP),
  )
  labels = np.asarray(batch["pair_label_BR"])
  real = labels >= 0
  nsp = by_hand(
    outputs["pair_logits_BRC"],
    np.where(real, labels, 0),
    real.astype(float),
  )
  assert [got["mlm_loss"], got["mlm_accuracy"]] == pytest.approx(mlm, rel=1e-6)
  assert [got["nsp_loss"], got["nsp_accuracy"]] == pytest.approx(nsp, rel=1e-6)


def test_the_gradient_of_the_loss_is_softmax_minus_target(made):
  outputs, batch = made
  loss = lambda logits: pretraining.pretraining_losses(
    {**outputs, "mlm_logits_BPV": logits}, batch, NSP, None
  )["mlm_loss"][0]
  got = jax.grad(loss)(outputs["mlm_logits_BPV"])
  expected = jax.nn.softmax(outputs["mlm_logits_BPV"]) - jax.nn.one_hot(
    batch["masked"].targets_BP, V
  )
  expected *= batch["masked"].weights_BP[..., None]
  np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_large_logits_overflow_nothing(made, shift):
  outputs, batch = made
  far = {name: logits + shift for name, logits in outputs.items()}
  near = pretraining.pretraining_losses(outputs, batch, NSP, None)
  moved = pretraining.pretraining_losses(far, batch, NSP, None)
  for name in ("mlm_loss", "nsp_loss"):
    assert float(moved[name][0]) == pytest.approx(
      float(near[name][0]), rel=1e-3
    )


def test_unigram_entropy_is_of_the_same_targets(made):
  outputs, batch = made
  table_V = np.log(np.arange(1, V + 1) / np.arange(1, V + 1).sum())
  got = means(
    pretraining.pretraining_losses(
      outputs, batch, OFF, table_V.astype(np.float32)
    )
  )
  real_BP = np.asarray(batch["masked"].weights_BP) > 0
  expected = -table_V[np.asarray(batch["masked"].targets_BP)[real_BP]].mean()
  assert got["unigram_entropy"] == pytest.approx(expected, rel=1e-6)


def test_accuracies_by_kind_are_those_of_their_targets():
  """And their weights add up to all targets; the rate is that of all tokens."""
  batch = {name: jnp.asarray(each) for name, each in tiny.batch(0).items()}
  prepared = tiny.task().prepare(batch)
  masked = prepared["masked"]
  targets_BP = np.asarray(masked.targets_BP)
  draw = np.random.Generator(np.random.Philox(key=0))
  logits = draw.normal(size=(*targets_BP.shape, tiny.TOKENS))
  # Every other slot is predicted.
  found = np.eye(tiny.TOKENS)[targets_BP]
  found[:, ::2] = 0
  logits = jnp.asarray(logits + 100 * found, jnp.float32)
  got = pretraining.masking_metrics(
    {"mlm_logits_BPV": logits}, prepared, NSP, by_kind=True
  )
  guess_BP = np.argmax(np.asarray(logits), axis=-1)
  kinds = {"masked": 1, "randomized": 2, "kept": 3}
  for name, kind in kinds.items():
    at = np.asarray(masked.kind_BP) == kind
    right, weight = map(float, got[f"mlm_accuracy_{name}"])
    assert weight == at.sum() > 0
    assert right == (guess_BP == targets_BP)[at].sum()
  targets, tokens = map(float, got["mask_rate"])
  assert targets == sum(float(got[f"mlm_accuracy_{name}"][1]) for name in kinds)
  assert tokens == (tiny.batch(0)["packs_BS"] > 0).sum()


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
  outputs, batch = made
  assert pretraining.coefficients(objective) == losses
  assert pretraining.inactive_parts(objective) == inactive
  weights = pretraining.pretraining_weights(batch, objective)
  got = pretraining.pretraining_losses(outputs, batch, objective, None)
  assert weights.keys() == losses.keys()
  assert {name for name in got if name.endswith("_loss")} == losses.keys()
  for name, weight in weights.items():
    assert weight == got[name][1]


def test_rows_cut_in_parts_add_up_to_the_whole(made):
  """Σₖ sumₖ / Wₖ(global) over micro-batches, with unequal mask counts."""
  outputs, batch = made
  weights = pretraining.pretraining_weights(batch, NSP)
  terms = pretraining.coefficients(NSP)

  def total(rows):
    part = lambda tree: jax.tree.map(lambda leaf: leaf[rows], tree)
    losses = pretraining.pretraining_losses(
      part(outputs), part(batch), NSP, None
    )
    return weighted_total(losses, weights, terms)

  parts = [total(slice(b, b + 2)) for b in range(0, B, 2)]
  assert float(sum(parts)) == pytest.approx(float(total(slice(None))), rel=1e-6)


def test_a_pair_head_has_the_classes_of_its_objective(made, monkeypatch):
  """A third class, as in StructBERT: a row of each table, and nothing else."""
  outputs, batch = made
  classes = ("next", "swapped", "random")
  nsp: Any = pretraining.PAIR_OBJECTIVES["nsp"]
  three = dataclasses.replace(nsp, name="order")
  monkeypatch.setitem(pretraining.PAIR_OBJECTIVES, "nsp", three)
  monkeypatch.setitem(pretraining.PAIR_CLASSES, "nsp", classes)
  model = pretraining.make_model(tiny.CONFIG, ComputeConfig(), NSP)
  shapes = jax.eval_shape(
    lambda key: pretraining.init_params(model, 8, key), jax.random.key(0)
  )
  head = nn.meta.unbox(shapes)["pair_head"]
  assert {leaf.shape[-1] for leaf in jax.tree.leaves(head)} == {3}
  logits = jnp.zeros((B, R, 3))
  got = pretraining.pretraining_losses(
    {**outputs, "pair_logits_BRC": logits}, batch, NSP, None
  )
  assert means(got)["order_loss"] == pytest.approx(np.log(3))
  assert pretraining.coefficients(NSP) == {"mlm_loss": 1.0, "order_loss": 1.0}
  assert pretraining.shown_metrics(NSP)[2:] == ["order_loss", "order_accuracy"]


def test_summaries_show_the_metrics_that_they_always_have():
  assert pretraining.SUMMARY_METRICS[:3] == (
    "mlm_loss",
    "mlm_accuracy",
    "nsp_accuracy",
  )
