# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention, derived again in numpy; packs and padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.config import ComputeConfig
from bertjax.model.attention import LayerInputs, SelfAttention
from tests.testing.examples import SMALL

PACKS_BS = np.array([[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 1, 1]], np.int32)
ROWS_B = np.arange(2, dtype=np.uint32)
# Which position attends to which, for the first row above.
SEES_ST = np.array(
  [
    [1, 1, 1, 0, 0, 0],
    [1, 1, 1, 0, 0, 0],
    [1, 1, 1, 0, 0, 0],
    [0, 0, 0, 1, 1, 0],
    [0, 0, 0, 1, 1, 0],
    [0, 0, 0, 0, 0, 1],
  ],
  bool,
)


@pytest.fixture(scope="module")
def attention():
  """(function of hidden and packs, parameters, hidden states)."""
  draw = np.random.default_rng(0)
  hidden_BSD = draw.standard_normal((2, 6, 32)).astype(np.float32)
  module = SelfAttention(SMALL, ComputeConfig(), deterministic=True)
  shapes = jax.eval_shape(
    lambda key: jax.tree.map(
      jnp.asarray,
      module.init(
        key, hidden_BSD, LayerInputs(jnp.asarray(PACKS_BS), jnp.asarray(ROWS_B))
      ),
    ),
    jax.random.key(0),
  )["params"]
  params = jax.tree.map(
    lambda leaf: 0.3 * draw.standard_normal(leaf.shape).astype(np.float32),
    jax.tree.map(lambda box: box, shapes),
  )
  from flax.core import meta

  params = meta.unbox(params)
  run = jax.jit(
    lambda hidden, packs: module.apply(
      {"params": params}, hidden, LayerInputs(packs, jnp.asarray(ROWS_B))
    )
  )
  return run, params, hidden_BSD


def by_hand(params, hidden_SD, sees_ST):
  """One row in float64, one head after another."""
  exact = lambda name: {
    part: np.asarray(value, np.float64) for part, value in params[name].items()
  }
  query, key, value, out = map(exact, ("query", "key", "value", "out"))
  total_SD = np.tile(out["bias"], (len(hidden_SD), 1))
  for head in range(SMALL.num_heads):
    project = lambda part, head=head: (
      hidden_SD @ part["kernel"][:, head] + part["bias"][head]
    )
    query_SK, key_TK, value_TK = map(project, (query, key, value))
    scores_ST = query_SK @ key_TK.T / np.sqrt(SMALL.head_size)
    weights_ST = np.where(sees_ST, np.exp(scores_ST), 0.0)
    weights_ST /= weights_ST.sum(axis=1, keepdims=True)
    total_SD += weights_ST @ value_TK @ out["kernel"][head]
  return total_SD


def test_attention_equals_a_numpy_derivation(attention):
  run, params, hidden_BSD = attention
  output_BSD = run(hidden_BSD, PACKS_BS)
  for row, sees_ST in enumerate((SEES_ST, np.ones((6, 6), bool))):
    expected_SD = by_hand(params, hidden_BSD[row].astype(np.float64), sees_ST)
    np.testing.assert_allclose(output_BSD[row], expected_SD, atol=1e-5, rtol=0)


def test_what_stands_outside_a_pack_is_invisible_exactly(attention):
  run, _, hidden_BSD = attention
  before_BSD = np.asarray(run(hidden_BSD, PACKS_BS))
  changed_BSD = hidden_BSD.copy()
  changed_BSD[0, 3:] = 100.0
  after_BSD = np.asarray(run(changed_BSD, PACKS_BS))
  np.testing.assert_array_equal(after_BSD[0, :3], before_BSD[0, :3])
  assert not np.array_equal(after_BSD[0, 3:], before_BSD[0, 3:])


def test_a_row_of_padding_alone_is_finite(attention):
  run, _, hidden_BSD = attention
  assert np.isfinite(run(hidden_BSD, np.zeros_like(PACKS_BS))).all()
