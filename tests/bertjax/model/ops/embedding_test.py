# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Lookups and their gradients, which are summed in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bertjax.model.ops.embedding import embed_lookup, embed_one_hot

TABLE_VD = np.random.default_rng(0).standard_normal((3, 64), np.float32)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("find", [embed_lookup, embed_one_hot])
def test_rows_are_exact_and_gradients_are_summed_in_float32(find, dtype):
  """Over the 2,000 positions that a row has."""
  table_VD = jnp.asarray(TABLE_VD, dtype)
  ids = np.random.default_rng(0).integers(0, 2, (64, 64))  # and none is 2
  # Far from zero on average: a sum of bfloat16 stops growing.
  slope = 1 + np.random.default_rng(1).standard_normal((64, 64, 64))
  slope = jnp.asarray(slope, dtype)
  found, pull = jax.vjp(lambda table_VD: find(table_VD, ids), table_VD)
  np.testing.assert_array_equal(found, table_VD[ids])
  (got_VD,) = pull(slope)
  exact = np.asarray(slope, np.float64)
  want_VD = np.stack([exact[ids == row].sum(axis=0) for row in range(3)])
  assert got_VD.dtype == dtype
  np.testing.assert_allclose(
    np.asarray(got_VD, np.float64),
    want_VD,
    rtol=max(2e-6, float(jnp.finfo(dtype).eps)),
  )


@pytest.mark.parametrize("find", [embed_lookup, embed_one_hot])
def test_an_id_beyond_the_table_is_not_passed_over(find):
  found = np.asarray(find(jnp.asarray(TABLE_VD), jnp.array([[0, 3, 2]])))
  assert np.isnan(found[0, 1]).all()
  np.testing.assert_array_equal(found[0, [0, 2]], TABLE_VD[[0, 2]])
