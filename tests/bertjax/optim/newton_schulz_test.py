# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Newton–Schulz against the plain iteration in float64, and against optax's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bertjax.optim.newton_schulz import ONE_BY_ONE, iterate, orthogonalize

ROWS, COLUMNS = 48, 160


def with_values(values, columns=COLUMNS):
  """A matrix of random singular vectors and these singular values."""
  source = np.random.default_rng(0)
  left, _ = np.linalg.qr(source.standard_normal((ROWS, ROWS)))
  right, _ = np.linalg.qr(source.standard_normal((columns, ROWS)))
  return (left * values) @ right.T


def one_entry(columns=COLUMNS):
  matrix = np.random.default_rng(1).standard_normal((ROWS, columns))
  matrix[3, 5] = 1e4
  return matrix


SMALL = np.logspace(0, -6, ROWS)
MATRICES = {
  "normal": np.random.default_rng(2).standard_normal((ROWS, COLUMNS)),
  "1 to 1e-6": with_values(SMALL),
  "deficient": with_values(np.where(np.arange(ROWS) < 16, 1.0, 0.0)),
  "noise": with_values(np.where(np.arange(ROWS) < 4, 1.0, 1e-3)),
  "a giant value": with_values(np.r_[300.0, np.ones(ROWS - 1)]),
  "a giant entry": one_entry(),
  "zero": np.zeros((ROWS, COLUMNS)),
  "square, 1 to 1e-6": with_values(SMALL, ROWS),
  "square, a giant entry": one_entry(ROWS),
}
# The largest error, as a share of the largest entry.
LIMIT = 5e-5


def normalized(matrix):
  return (matrix / (np.linalg.norm(matrix) + 1e-8)).astype(np.float32)


def by_hand(matrix):
  """Five iterations of Jordan et al. (2024) in float64."""
  x = matrix.astype(np.float64)
  for _ in range(5):
    gram = x @ x.T
    x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
  return x


@functools.cache
def compiled(stages, num_blocks):
  return jax.jit(
    functools.partial(iterate, stages=stages, num_blocks=num_blocks)
  )


def error(matrix, stages, num_blocks=1, *, transposed=False):
  got = compiled(stages, num_blocks)(matrix.T if transposed else matrix)
  expected = by_hand(matrix)
  worst = np.abs((got.T if transposed else got) - expected).max()
  return worst / max(np.abs(expected).max(), 1e-30)


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize(
  ("stages", "num_blocks"),
  [
    ((3, 2), 2),
    (ONE_BY_ONE, 1),
    pytest.param((3, 2), 1, marks=pytest.mark.full),
    pytest.param((3, 2), 3, marks=pytest.mark.full),
    pytest.param(ONE_BY_ONE, 2, marks=pytest.mark.full),
  ],
)
def test_float32_is_as_good_as_float64(name, stages, num_blocks):
  matrix = normalized(MATRICES[name])
  assert error(matrix, stages, num_blocks) < LIMIT
  assert error(matrix, stages, num_blocks, transposed=True) < LIMIT


def test_five_iterations_of_one_gram_matrix_lose_small_values():
  """Why X is multiplied after three: this is what the limit above catches."""
  matrix = normalized(MATRICES["a giant value"])
  assert error(matrix, (5,)) > 10 * LIMIT


@pytest.mark.parametrize(
  "shape",
  [
    (2, 384, 600),
    (3, 12, 24),
    pytest.param((2, 600, 384), marks=pytest.mark.full),
    pytest.param((2, 385, 600), marks=pytest.mark.full),
    pytest.param((1, 384, 384), marks=pytest.mark.full),
    pytest.param((3, 12, 12), marks=pytest.mark.full),
  ],
)
def test_each_layer_is_as_optax_has_it(shape):
  source = np.random.default_rng(3)
  stack = jnp.stack(
    [normalized(source.standard_normal(shape[1:])) for _ in range(shape[0])]
  )
  peer = optax.contrib.scale_by_muon(
    beta=0.0,
    weight_dimension_numbers=optax.contrib.MuonDimensionNumbers((1,), (2,)),
  )
  with jax.numpy_dtype_promotion("standard"):
    updates, _ = peer.update(stack, peer.init(stack))
  expected = np.asarray(jax.device_get(updates))
  limit = 2e-5 * np.abs(expected).max()
  for run in (orthogonalize, jax.jit(orthogonalize)):
    np.testing.assert_allclose(run(stack), expected, rtol=0, atol=limit)
