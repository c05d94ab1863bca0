# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Sines and cosines by their formula, and rotations that tell distances."""

import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.model.positions import rotate, rotation_at, sinusoids_at

POSITIONS_BS = np.array([[0, 1, 2, 0, 1], [0, 1, 2, 3, 511]], np.int32)


@pytest.mark.parametrize("width", [8, 7])
def test_sinusoids_are_those_of_the_paper(width):
  """Section 3.5 of Vaswani et al. (2017), in float64."""
  column_D = np.arange(width)
  angle_BSD = POSITIONS_BS[..., None] / 10_000 ** (2 * (column_D // 2) / width)
  expected = np.where(column_D % 2, np.cos(angle_BSD), np.sin(angle_BSD))
  got = sinusoids_at(jnp.asarray(POSITIONS_BS), width)
  np.testing.assert_allclose(got, expected, atol=1e-4, rtol=0)


def turned(states_BSHK, positions_BS, base):
  rotation = rotation_at(jnp.asarray(positions_BS), 16, base)
  return np.asarray(rotate(jnp.asarray(states_BSHK), rotation))


@pytest.mark.parametrize("base", [10_000.0, 160_000.0])
def test_products_of_turned_states_depend_on_the_distance_only(base):
  draw = np.random.default_rng(0)
  states = np.tile(draw.standard_normal((1, 1, 2, 16)), (1, 40, 1, 1))
  states = states.astype(np.float32)
  places = np.arange(40)[None]
  query, key = turned(states, places, base), turned(states, places + 100, base)
  near = turned(states, places, base)
  product = lambda left, right: np.einsum("BSHK,BTHK->HST", left, right)
  at_0, at_100 = product(near, near), product(key, key)
  np.testing.assert_allclose(at_0, at_100, atol=2e-3)
  by_distance = [np.diagonal(product(query, near)[0], d) for d in range(40)]
  for products in by_distance:
    np.testing.assert_allclose(products, products[0], atol=2e-4)
  assert np.ptp([products[0] for products in by_distance]) > 1
  np.testing.assert_array_equal(query[:, 0], states[:, 0])
