# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The copy of the parameters that a step computes with."""

from typing import Any

import jax
import jax.numpy as jnp

# A matrix or a table is read in the dtype of compute. Scales, biases and the
# heads of a few classes are read in float32.
_NARROW = frozenset({"kernel", "embedding"})
_FLOAT32_HEADS = frozenset({"pair_head", "classifier", "span_head"})


def compute_copy(params: Any, dtype: str) -> Any:
  """Return `params` with each in the dtype that the model reads it in.

  The model does the same where it is given float32. Done once, before
  anything is differentiated, gradients have that dtype too, and what travels
  between devices is half as large.
  """

  def copy(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
    names = [key.key for key in path]
    narrow = names[-1] in _NARROW and not _FLOAT32_HEADS.intersection(names)
    return leaf.astype(jnp.dtype(dtype)) if narrow else leaf

  return jax.tree.map_with_path(copy, params)
