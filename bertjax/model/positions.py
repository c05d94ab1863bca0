# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Positions that are not learned: sines and cosines, and rotations."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
# The base of the wavelengths of Vaswani et al. (2017, section 3.5).
_BASE = 10_000.0


class Rotation(NamedTuple):
  """The turn of each pair of columns of a head, at each position.

  Attributes:
    cos_BSK: float32 cosines; K is half of the width of a head.
    sin_BSK: float32 sines.
  """

  cos_BSK: Array
  sin_BSK: Array


def sinusoids_at(positions_BS: Array, width: int) -> Array:
  """Return float32 `states_BSD`: sines in even columns, cosines in odd ones.

  Vaswani et al. (2017, section 3.5), as DistilBERT has it; fairseq has all
  sines before all cosines.
  """
  angle_BSK = _angles(positions_BS, -(-width // 2), width, _BASE)
  both_BSK2 = jnp.stack([jnp.sin(angle_BSK), jnp.cos(angle_BSK)], axis=-1)
  return both_BSK2.reshape(*positions_BS.shape, -1)[..., :width]


def rotation_at(positions_BS: Array, head_size: int, base: float) -> Rotation:
  """Return the rotation of each position (Su et al., 2021, equation 15)."""
  angle_BSK = _angles(positions_BS, head_size // 2, head_size, base)
  return Rotation(jnp.cos(angle_BSK), jnp.sin(angle_BSK))


def rotate(states_BSHK: Array, rotation: Rotation) -> Array:
  """Turn column i with column i + K/2 of each head, in float32.

  These are the pairs of GPT-NeoX and transformers; the paper has neighbors.
  The product of a query and a key then depends on their distance only.
  """
  cos_BS1K = rotation.cos_BSK[:, :, None]
  sin_BS1K = rotation.sin_BSK[:, :, None]
  left, right = jnp.split(states_BSHK.astype(jnp.float32), 2, axis=-1)
  turned_BSHK = jnp.concatenate(
    [
      left * cos_BS1K - right * sin_BS1K,
      right * cos_BS1K + left * sin_BS1K,
    ],
    axis=-1,
  )
  return turned_BSHK.astype(states_BSHK.dtype)


def _angles(positions_BS: Array, count: int, width: int, base: float) -> Array:
  """Return the float32 angles of `count` wavelengths at each position."""
  rates_K = base ** (-2 * np.arange(count, dtype=np.float64) / width)
  exact_BS1 = positions_BS[..., None].astype(jnp.float32)
  return exact_BS1 * jnp.asarray(rates_K, jnp.float32)[None, None]
