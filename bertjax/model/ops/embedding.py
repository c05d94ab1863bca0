# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of an embedding table, whose gradients are summed in float32."""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


@jax.custom_vjp
def embed_lookup(table_VD: Array, ids: Array) -> Array:
  """Return `table_VD[ids]`; the width is the new last axis.

  The gradient of a row is summed over the batch in float32: a bfloat16 sum
  stops growing, and a frequent token would lose its later occurrences.
  """
  return jnp.take(table_VD, ids, axis=0)


def _embed_lookup_forward(table_VD: Array, ids: Array) -> tuple[Array, Any]:
  return embed_lookup(table_VD, ids), (table_VD, ids)


def _embed_lookup_backward(saved: Any, gradient: Array) -> tuple[Array, None]:
  table_VD, ids = saved
  zeros_VD = jnp.zeros(table_VD.shape, jnp.float32)
  sums_VD = zeros_VD.at[ids].add(gradient.astype(jnp.float32))
  return sums_VD.astype(table_VD.dtype), None


embed_lookup.defvjp(_embed_lookup_forward, _embed_lookup_backward)


def embed_one_hot(table_VD: Array, ids: Array) -> Array:
  """Return `table_VD[ids]` of a table of few rows, exactly.

  An id beyond the table gives nan, as a lookup does.

  A product with one-hot rows, as in google-research/bert, modeling.py. The
  gradient of a lookup would scatter a whole batch into two rows, one position
  after another. Both directions are in float32, because XLA on CPU does not
  say in which precision it sums bfloat16.
  """
  one_hot = jax.nn.one_hot(ids, table_VD.shape[0], dtype=jnp.float32)
  inside = (ids >= 0) & (ids < table_VD.shape[0])
  rows = jnp.einsum(
    "...V,VD->...D",
    jnp.where(inside[..., None], one_hot, jnp.nan),
    table_VD.astype(jnp.float32),
    precision=jax.lax.Precision.HIGHEST,
  )
  return rows.astype(table_VD.dtype)
