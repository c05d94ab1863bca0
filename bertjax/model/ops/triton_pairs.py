# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the kernels of `flash_triton` ask about pairs of positions."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from bertjax.model.ops.dot_product import OUTSIDE
from bertjax.model.ops.flash_inputs import Settings, Shared
from bertjax.model.ops.flash_tiles import find_tiles
from bertjax.model.ops.weight_draws import draws_of_block, drop_parts

Array = jax.Array


class Pairs:
  """What a kernel asks about the pairs of keys and of one tile of queries.

  Arrays of pairs have keys along `keys_axis` and queries along the other.
  """

  def __init__(
    self, shared: Shared, settings: Settings, *, keys_axis: int
  ) -> None:
    self._packs_T, self._seeds, self._reach = shared
    self._settings, self._axis = settings, keys_axis
    # Also without draws: one part would need more registers than there are.
    self._count = draws_of_block(settings.draws or "uint16")

  def parts(self, group: Any) -> list[Any]:
    """Return the slices of a group of keys that are worked on apart."""
    size = self._settings.tile.keys // self._count
    first = group * self._settings.tile.keys
    return [pl.ds(first + size * part, size) for part in range(self._count)]

  def mask(self, scores: Array, keys: Any, first: Array) -> Array:
    """Return the scores of a part, OUTSIDE where none attends.

    Args:
      scores: of pairs.
      keys: one of `parts`.
      first: number of the first query.
    """
    queries = pl.ds(first, self._settings.tile.queries)
    inside = self._along(self._packs_T[keys], self._axis) == self._along(
      self._packs_T[queries], 1 - self._axis
    )
    if self._reach is not None:
      iota = lambda axis: jax.lax.broadcasted_iota(
        jnp.int32, scores.shape, axis
      )
      apart = iota(self._axis) - iota(1 - self._axis) + (keys.start - first)
      inside = inside & (jnp.abs(apart) <= self._reach[0])
    return jnp.where(inside, scores, OUTSIDE)

  def dropped(self, group: Any, first: Any) -> list[Any]:
    """Return, for each part, which pairs are dropped; None if none is."""
    if self._seeds is None:
      return [None] * self._count
    keys, queries = self._settings.tile
    parts: list[Any] = drop_parts(
      (self._seeds[0], self._seeds[1]),
      (group * keys, first),
      (keys, queries),
      (self._settings.rate, self._settings.draws),
      keys_axis=self._axis,
    )
    return parts

  def bounds(self, first: Array, count: int, size: int) -> tuple[Any, Any]:
    """Return which tiles are within reach; see `find_tiles`."""
    reach = None if self._reach is None else self._reach[0]
    return find_tiles(reach, self._packs_T.shape[0], (first, count), size)

  @staticmethod
  def _along(array_X: Array, axis: int) -> Array:
    return array_X[:, None] if axis == 0 else array_X[None, :]
