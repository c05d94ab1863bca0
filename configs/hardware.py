# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Chips that a run can use, and the positions that a chip computes at once.

`python -m launch.plan` prints what fits a chip and what bounds its speed, and
`launch.rehearse` runs a layout on virtual devices.
"""

import dataclasses

import ml_collections

from bertjax.config.model import drops
from configs import common


@dataclasses.dataclass(frozen=True)
class Hardware:
  """Chips of one kind.

  Attributes:
    chips: number of chips of all slices; JAX has one device for each.
    positions: the most positions of a micro-batch of BERT-large that fit into a
      chip, with dropout and without recomputation; a smaller model fits more.
    slices: number of slices that the chips are spread over.
  """

  chips: int
  positions: int
  slices: int = 1


# Cloud TPU's names, except for the plain chip; "v5p-128" counts cores and has
# 64 chips. The positions of v5e with ZeRO-1 were compiled ahead of time (16
# rows of 512: benchmarks/scaling.md); the others are in proportion to memory.
KINDS = {
  "chip": Hardware(1, 4_096),
  "v5e-8": Hardware(8, 8_192),
  "v5e-256": Hardware(256, 8_192),
  "v5e-2x256": Hardware(512, 8_192, slices=2),
  "v5p-128": Hardware(64, 32_768),
  "v6e-256": Hardware(256, 16_384),
}


def overlay(hardware: Hardware) -> common.Overlay:
  """Return the overlay that lays a run out on `hardware`.

  Matrix products are in bfloat16, dropout takes its bits from the chip's own
  generator, parameters and optimizer state are sharded over all chips, and
  there are as many micro-batches as batch and length need.
  """
  layout = common.fields(
    {
      "mesh.data": hardware.chips,
      "mesh.slices": hardware.slices,
      "mesh.zero1": hardware.chips > 1,
      "compute.dtype": "bfloat16",
      "positions_per_device": hardware.positions,
    }
  )

  def apply(config: ml_collections.ConfigDict) -> None:
    layout(config)
    # A run without dropout refuses a generator for it.
    if drops(config):
      config.update_from_flattened_dict({"compute.dropout_rng": "rbg"})

  return apply
