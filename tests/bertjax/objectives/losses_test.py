# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Losses of one label a row."""

import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.objectives import losses
from tests.testing.losses import by_hand, means


def test_classification_drops_rows_of_weight_zero():
  draw = np.random.default_rng(0)
  logits_BC = draw.standard_normal((8, 3)).astype(np.float32)
  label_B = draw.integers(0, 3, 8).astype(np.int32)
  weight_B = np.array([1, 1, 0, 1, 1, 0, 1, 1], np.float32)
  got = means(
    losses.classification_losses(
      jnp.asarray(logits_BC), jnp.asarray(label_B), jnp.asarray(weight_B)
    )
  )
  expected = by_hand(logits_BC, label_B, weight_B)
  assert [got["loss"], got["accuracy"]] == pytest.approx(expected, rel=1e-6)


def test_smoothed_labels_are_those_of_torch():
  torch = pytest.importorskip("torch")
  draw = np.random.default_rng(4)
  logits_BC = draw.standard_normal((6, 5)).astype(np.float32)
  label_B = draw.integers(0, 5, 6).astype(np.int32)
  weight_B = np.asarray([1, 1, 0, 1, 2, 1], np.float32)
  loss, weight = losses.classification_losses(
    jnp.asarray(logits_BC), jnp.asarray(label_B), jnp.asarray(weight_B), 0.1
  )["loss"]
  each = torch.nn.functional.cross_entropy(
    torch.from_numpy(logits_BC),
    torch.from_numpy(label_B).long(),
    label_smoothing=0.1,
    reduction="none",
  ).numpy()
  np.testing.assert_allclose(loss, (each * weight_B).sum(), rtol=1e-5)
  assert float(weight) == weight_B.sum()


def test_the_focal_loss_is_that_of_its_formula():
  logits_BC = np.asarray([[2.0, 0, -1], [0.5, 1, 3]], np.float32)
  label_B, weight_B = np.asarray([0, 1]), np.asarray([1, 2], np.float32)
  found = losses.classification_losses(
    jnp.asarray(logits_BC),
    jnp.asarray(label_B),
    jnp.asarray(weight_B),
    focal_exponent=2.0,
  )
  p_BC = np.exp(logits_BC) / np.exp(logits_BC).sum(axis=1, keepdims=True)
  p_B = p_BC[[0, 1], label_B]
  wanted = (-np.log(p_B) * (1 - p_B) ** 2 * weight_B).sum()
  np.testing.assert_allclose(found["loss"][0], wanted, rtol=1e-5)
  assert float(found["loss"][1]) == 3
  assert [float(each) for each in found["accuracy"]] == [1, 3]
