# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Resize parameters to a vocabulary with more tokens.

A new token starts as the mean of the old tokens that its text was made of: its
row of the word table, and its bias in the masked-LM head. The head uses the
word table, so the logit of a new token starts as the mean of their logits
for any hidden state, and no new token is more likely than the likeliest of its
parts. (A lower bias would be closer to how rare the token is; training finds
it within a few steps.)
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from bertjax.model.parameters import Parameter, SpareToken, map_parameters

# From the old rows to the row of a token that never occurs.
_SPARE_ROWS = {"mean": jnp.mean, "min": jnp.min}


def shapes_before(target: Any, vocab_size: int) -> Any:
  """Return the shapes and shardings in which to read the smaller parameters.

  Args:
    target: parameters of the larger vocabulary, or their shapes.
    vocab_size: rows of the smaller word table.
  """

  def shape(row: Parameter, leaf: Any) -> jax.ShapeDtypeStruct:
    wanted = tuple(leaf.shape)
    if row.spare_token:
      wanted = (vocab_size, *wanted[1:])
    return jax.ShapeDtypeStruct(
      wanted, leaf.dtype, sharding=_fitting(leaf.sharding, wanted)
    )

  return map_parameters(shape, target)


def _fitting(
  sharding: jax.sharding.Sharding, shape: tuple[int, ...]
) -> jax.sharding.Sharding:
  """Shard another axis where the mesh does not divide the axis of `sharding`.

  A vector has no other axis: where the mesh does not divide it, it is
  replicated.
  """
  if not isinstance(sharding, NamedSharding):
    return sharding
  names: list[tuple[str, ...]] = [
    (entry,) if isinstance(entry, str) else tuple(entry or ())
    for entry in sharding.spec
  ]
  names += [()] * (len(shape) - len(names))
  shards = lambda axes: int(np.prod([sharding.mesh.shape[a] for a in axes]))
  unused: list[str] = []
  for axis, size in enumerate(shape):
    if size % shards(names[axis]):
      unused += names[axis]
      names[axis] = ()
  for name in unused:
    for axis, size in enumerate(shape):
      if size % shards((*names[axis], name)) == 0:
        names[axis] = (*names[axis], name)
        break
  return NamedSharding(
    sharding.mesh, PartitionSpec(*(axes or None for axes in names))
  )


def resize_embeddings(
  params: Any, target: Any, parts: Mapping[int, Sequence[int]]
) -> Any:
  """Return `params` with the rows and the shardings of `target`.

  Old rows keep their bits, except the rows of the ids in `parts`. Rows without
  a token, the padding at the end of the table, get the row that `spare_token`
  of their parameter names: the mean row, or the least bias.

  Args:
    params: parameters in the shapes of `shapes_before`.
    target: parameters of the larger vocabulary, or their shapes.
    parts: id of each new token → ids of the old tokens of its text.
  """
  if not parts:
    return params

  def resize(row: Parameter, leaf: Any, like: Any) -> Any:
    if row.spare_token is None:
      return leaf
    resized = jax.jit(
      functools.partial(
        _resize, size=like.shape[0], spare_token=row.spare_token
      ),
      out_shardings=like.sharding,
    )
    return resized(leaf, *_flat(parts))

  return map_parameters(resize, params, target)


def _flat(
  parts: Mapping[int, Sequence[int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Return new ids, the ids of all their parts, and each part's new token."""
  ids_N = np.array(list(parts), np.int32)
  lengths = [len(old) for old in parts.values()]
  old_M = np.concatenate([np.array(old, np.int32) for old in parts.values()])
  return ids_N, old_M, np.repeat(np.arange(len(ids_N), dtype=np.int32), lengths)


def _resize(
  leaf: jax.Array,
  ids_N: jax.Array,
  old_M: jax.Array,
  owner_M: jax.Array,
  *,
  size: int,
  spare_token: SpareToken,
) -> jax.Array:
  total = functools.partial(
    jax.ops.segment_sum, segment_ids=owner_M, num_segments=len(ids_N)
  )
  ones_M = jnp.ones((len(old_M), *(1,) * (leaf.ndim - 1)), leaf.dtype)
  means = total(jnp.take(leaf, old_M, axis=0)) / total(ones_M)
  more = size - leaf.shape[0]
  index = jax.lax.broadcasted_iota(
    jnp.int32, (size, *(1,) * (leaf.ndim - 1)), 0
  )
  resized = jnp.pad(leaf, ((0, more), *((0, 0),) * (leaf.ndim - 1)))
  spare_row = _SPARE_ROWS[spare_token](leaf, axis=0, keepdims=True)
  resized = jnp.where(index < leaf.shape[0], resized, spare_row)
  return resized.at[ids_N].set(means)
