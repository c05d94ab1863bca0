# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of a vocabulary, for one that has pieces more.

A new piece starts as the mean of the pieces that it was made of: its row of
the word table, and its bias in the masked-LM head, too. As the head is tied,
its logit is then the mean of their logits whatever the hidden state: no new
piece starts out likelier than the likeliest of its parts. (A lower bias would
be nearer to how rare it is, and is learnt in no time.)
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from bertjax.model.parameters import leaf_name

# Every parameter with an axis of pieces, which comes first.
TABLE = "encoder/embeddings/word/embedding"
BIAS = "mlm_head/bias"


def shapes_before(target: Any, vocab_size: int) -> Any:
  """Shapes and shardings in which to read weights that are to grow.

  Args:
    target: parameters of the larger vocabulary, or their shapes.
    vocab_size: rows of the smaller one's table.
  """

  def shape(path: tuple[Any, ...], leaf: Any) -> jax.ShapeDtypeStruct:
    wanted = tuple(leaf.shape)
    if leaf_name(path) in (TABLE, BIAS):
      wanted = (vocab_size, *wanted[1:])
    return jax.ShapeDtypeStruct(
      wanted, leaf.dtype, sharding=_fitting(leaf.sharding, wanted)
    )

  return jax.tree.map_with_path(shape, target)


def _fitting(
  sharding: jax.sharding.Sharding, shape: tuple[int, ...]
) -> jax.sharding.Sharding:
  """Cut another axis where the mesh does not divide the one it should cut.

  A vector has no other: a bias that it does not divide is on every device.
  """
  if not isinstance(sharding, NamedSharding):
    return sharding
  names: list[tuple[str, ...]] = [
    (entry,) if isinstance(entry, str) else tuple(entry or ())
    for entry in sharding.spec
  ]
  names += [()] * (len(shape) - len(names))
  parts = lambda axes: int(np.prod([sharding.mesh.shape[a] for a in axes]))
  loose: list[str] = []
  for axis, size in enumerate(shape):
    if size % parts(names[axis]):
      loose += names[axis]
      names[axis] = ()
  for name in loose:
    for axis, size in enumerate(shape):
      if size % parts((*names[axis], name)) == 0:
        names[axis] = (*names[axis], name)
        break
  return NamedSharding(
    sharding.mesh, PartitionSpec(*(axes or None for axes in names))
  )


def grow(params: Any, target: Any, parts: Mapping[int, Sequence[int]]) -> Any:
  """Return `params` with the rows that `target` has, placed alike.

  Old rows stay bit for bit, but for those of the ids in `parts`. Rows that
  belong to no piece (padding, at the end) are as of one that never occurs: the
  mean row and the least bias.

  Args:
    params: in the shapes of `shapes_before`.
    target: parameters of the larger vocabulary, or their shapes.
    parts: id of each new piece → ids of the old ones that it is made of.
  """
  if not parts:
    return params

  def change(path: tuple[Any, ...], leaf: Any, like: Any) -> Any:
    name = leaf_name(path)
    if name not in (TABLE, BIAS):
      return leaf
    grown = jax.jit(
      functools.partial(_grow, size=like.shape[0], spare=_SPARE[name]),
      out_shardings=like.sharding,
    )
    return grown(leaf, *_flat(parts))

  return jax.tree.map_with_path(change, params, target)


# What a piece that never occurs has.
_SPARE = {
  TABLE: lambda table_VD: jnp.mean(table_VD, axis=0, keepdims=True),
  BIAS: lambda bias_V: jnp.min(bias_V, axis=0, keepdims=True),
}


def _flat(
  parts: Mapping[int, Sequence[int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """New ids, all their parts in a row, and the number of each part's piece."""
  ids_N = np.array(list(parts), np.int32)
  lengths = [len(old) for old in parts.values()]
  old_M = np.concatenate([np.array(old, np.int32) for old in parts.values()])
  return ids_N, old_M, np.repeat(np.arange(len(ids_N), dtype=np.int32), lengths)


def _grow(
  leaf: jax.Array,
  ids_N: jax.Array,
  old_M: jax.Array,
  owner_M: jax.Array,
  *,
  size: int,
  spare: Any,
) -> jax.Array:
  count = functools.partial(
    jax.ops.segment_sum, segment_ids=owner_M, num_segments=len(ids_N)
  )
  ones_M = jnp.ones((len(old_M), *(1,) * (leaf.ndim - 1)), leaf.dtype)
  means = count(jnp.take(leaf, old_M, axis=0)) / count(ones_M)
  more = size - leaf.shape[0]
  index = jax.lax.broadcasted_iota(
    jnp.int32, (size, *(1,) * (leaf.ndim - 1)), 0
  )
  grown = jnp.pad(leaf, ((0, more), *((0, 0),) * (leaf.ndim - 1)))
  grown = jnp.where(index < leaf.shape[0], grown, spare(leaf))
  return grown.at[ids_N].set(means)
