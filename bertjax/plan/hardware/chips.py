# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What one chip of each kind can do: the table that every bound rests on.

Peaks are those of `bertjax.train.peaks`. Sources: cloud.google.com/tpu/docs/
{v3, v4, v5e, v5p, v6e, tpu7x} for memory and networks; jax-ml/scaling-book,
tpus.md, for the rate of a link. The memory that a program may use is the limit
that libtpu itself names when a program is too large for it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from bertjax.train import peaks

GIB = 2**30


class Chip(NamedTuple):
  """A kind of TPU chip; rates are of one chip, in bytes a second.

  Attributes:
    device_kind: what JAX calls its devices.
    hbm_bandwidth: of its memory.
    usable_hbm: bytes that a program may use on one JAX device.
    dimensions: of the torus.
    link_bandwidth: of one link to a neighbour, one way.
    wraps: length of an axis from which on its ends are joined.
    dcn_bandwidth: to other slices, its share of its host's network.
  """

  device_kind: str
  hbm_bandwidth: float
  usable_hbm: float
  dimensions: int
  link_bandwidth: float
  wraps: int
  dcn_bandwidth: float

  @property
  def peak_flops(self) -> float:
    """Dense bfloat16 FLOP/s of one chip."""
    peak = peaks.peak_flops(self.device_kind)
    assert peak, self.device_kind
    return peak * self.devices

  @property
  def devices(self) -> int:
    """JAX devices of one chip."""
    return peaks.devices_per_chip(self.device_kind)


CHIPS: Mapping[str, Chip] = {
  "v3": Chip("TPU v3", 900e9, 15.48 * GIB, 2, 100e9, 32, 3.125e9),
  "v4": Chip("TPU v4", 1_200e9, 30.75 * GIB, 3, 45e9, 4, 6.25e9),
  "v5e": Chip("TPU v5 lite", 819e9, 15.75 * GIB, 2, 45e9, 16, 3.125e9),
  "v5p": Chip("TPU v5", 2_765e9, 95.73 * GIB, 3, 90e9, 4, 6.25e9),
  "v6e": Chip("TPU v6 lite", 1_638e9, 31.24 * GIB, 2, 90e9, 16, 12.5e9),
  "tpu7x": Chip("TPU7x", 7_380e9, 94.74 * GIB, 3, 100e9, 4, 12.5e9),
}
