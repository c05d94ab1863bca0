# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Clipping: the direction stays, and the norm where it is small enough."""

import jax
import numpy as np
import optax
import pytest

from bertjax.optim.clipping import clip_by_global_norm
from tests.testing.descent import draw

SHAPES = {"kernel": (5, 3, 2), "bias": (7,), "scale": ()}


def clip(gradients, limit):
  clipping = clip_by_global_norm(limit)
  clipped, _ = jax.jit(clipping.update)(gradients, clipping.init(gradients))
  return clipped


def global_norm(tree):
  squares = [(leaf.astype(np.float64) ** 2).sum() for leaf in tree.values()]
  return np.sqrt(sum(squares))


@pytest.mark.parametrize("scale", [0.5, 100.0])
def test_a_norm_beyond_the_limit_becomes_the_limit(scale):
  gradients = draw(SHAPES, 0, scale)
  norm = global_norm(gradients)
  assert norm > 1.5
  clipped = clip(gradients, 1.5)
  for name, leaf in clipped.items():
    np.testing.assert_allclose(leaf, gradients[name] * 1.5 / norm, rtol=1e-6)
  reference = optax.clip_by_global_norm(1.5)
  expected, _ = reference.update(gradients, reference.init(gradients))
  jax.tree.map(
    lambda got, wanted: np.testing.assert_allclose(got, wanted, rtol=1e-6),
    clipped,
    expected,
  )


@pytest.mark.parametrize("scale", [0.0, 1e-20, 0.1])
def test_a_norm_within_the_limit_keeps_every_bit(scale):
  gradients = draw(SHAPES, 0, scale)
  assert global_norm(gradients) < 1.5
  for name, leaf in clip(gradients, 1.5).items():
    np.testing.assert_array_equal(leaf, gradients[name])
