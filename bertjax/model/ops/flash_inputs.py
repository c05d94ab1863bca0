# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the kernels of flash attention are given; needs no Pallas."""

from typing import Any, NamedTuple

import jax

States = tuple[jax.Array, jax.Array, jax.Array]


class Tile(NamedTuple):
  """Positions that are worked on at once: numbers that divide S.

  Attributes:
    keys: a multiple of 128; along the sublanes of a TPU.
    queries: a multiple of 128 on a TPU, where they are along the lanes.
  """

  keys: int
  queries: int


class Settings(NamedTuple):
  """What is known when a kernel is compiled.

  Attributes:
    rate: share of the attention weights that is dropped.
    draws: dtype of the draws that decide.
    tile: positions worked on at once.
    platform: "gpu" has kernels of its own; those of all others are a TPU's.
    interpret: run in Pallas's interpreter, on any platform.
  """

  rate: float
  draws: str
  tile: Tile
  platform: str
  interpret: bool


class Shared(NamedTuple):
  """What decides which pairs attend and which are dropped.

  Attributes:
    packs_B1S: number of the packed example, int32; positions of the same
      number attend to each other.
    seeds_BX: uint32, the two words of `weight_draws.make_seeds` of each head,
      one head after the other; None if nothing is dropped.
    reach: int32 [1, 1], the largest distance of a pair; None for any.
  """

  packs_B1S: Any
  seeds_BX: Any = None
  reach: Any = None
