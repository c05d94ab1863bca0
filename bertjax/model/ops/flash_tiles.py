# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the kernels of all platforms compute on tiles; needs no Pallas."""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


def find_tiles(
  reach: Any, length: int, positions: tuple[Any, int], size: int
) -> tuple[Any, Any]:
  """Return the first tile within reach of positions, and that after the last.

  Args:
    reach: the largest distance, int32; None for any.
    length: positions of a row.
    positions: the first one, and their number.
    size: positions of a tile.
  """
  if reach is None:
    return 0, length // size
  first, count = positions
  tile_of = lambda position: jax.lax.div(position, jnp.int32(size))
  low = tile_of(jnp.maximum(first - reach, 0))
  high = tile_of(jnp.minimum(first + count - 1 + reach, length - 1))
  return low, high + 1


def keep(values: Array, dropped: Array | None) -> Array:
  """Return the values of the pairs that are kept, and 0 for the rest."""
  return values if dropped is None else jnp.where(dropped, 0.0, values)


def dot(left: Array, right: Array, of_left: int, of_right: int) -> Array:
  """Return the float32 product over one axis of each."""
  return jax.lax.dot_general(
    left,
    right,
    (((of_left,), (of_right,)), ((), ())),
    preferred_element_type=jnp.float32,
  )
