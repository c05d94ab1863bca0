# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run is laid over: chips, and how many positions each takes at once.

`python -m launch.plan` prints what fits a chip and what bounds its speed, and
`launch.rehearse` runs a layout on virtual devices.
"""

import dataclasses

from configs import common


@dataclasses.dataclass(frozen=True)
class Hardware:
  """Chips of one kind.

  Attributes:
    chips: of all slices; JAX's devices, one a chip.
    positions: that a chip takes in one micro-batch of BERT-large, dropout on
      and nothing recomputed; it takes more of a smaller encoder.
    slices: that the chips are spread over.
  """

  chips: int
  positions: int
  slices: int = 1


# Cloud TPU's names, but for the plain chip; "v5p-128" counts cores and has 64
# chips. Positions of v5e with ZeRO-1 were compiled ahead of time (16 rows of
# 512: benchmarks/scaling.md); the others are reckoned from that, by memory.
KINDS = {
  "chip": Hardware(1, 4_096),
  "v5e-8": Hardware(8, 8_192),
  "v5e-256": Hardware(256, 8_192),
  "v5e-2x256": Hardware(512, 8_192, slices=2),
  "v5p-128": Hardware(64, 32_768),
  "v6e-256": Hardware(256, 16_384),
}


def overlay(hardware: Hardware) -> common.Overlay:
  """Return the overlay that lays a run over `hardware`.

  Products in bfloat16, dropout's bits from the chip's own generator,
  parameters and slots in pieces over all chips where their number divides
  them, and as many micro-batches as batch and length turn out to need.
  """
  return common.fields(
    {
      "mesh.data": hardware.chips,
      "mesh.slices": hardware.slices,
      "mesh.zero1": hardware.chips > 1,
      "compute.dtype": "bfloat16",
      "compute.dropout_rng": "rbg",
      "positions_per_device": hardware.positions,
    }
  )
