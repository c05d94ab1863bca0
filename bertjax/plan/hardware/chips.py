# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Rates and memory of each kind of chip: the table behind every bound.

Peaks are those of `bertjax.train.peaks`. Sources: cloud.google.com/tpu/docs/
{v3, v4, v5e, v5p, v6e, tpu7x} for memory and networks; jax-ml/scaling-book,
tpus.md, for the bandwidth of a link. The memory that a program may use is the
limit that libtpu names when a program is too large.
"""

from collections.abc import Mapping
from typing import NamedTuple

from bertjax.train import peaks

GIB = 2**30


class Chip(NamedTuple):
  """A kind of TPU chip. Bandwidths are those of one chip, in bytes a second.

  Attributes:
    device_kind: JAX's `device_kind` of its devices.
    hbm_bandwidth: bandwidth of HBM.
    usable_hbm: bytes that a program may use on one JAX device.
    dimensions: dimensions of the torus.
    link_bandwidth: bandwidth of one link to a neighbor, one way.
    wraps: length from which on an axis wraps around.
    dcn_bandwidth: bandwidth to other slices: the chip's share of the network
      of its host.
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
    """Return the dense bfloat16 FLOP/s of one chip."""
    peak = peaks.peak_flops(self.device_kind)
    assert peak, self.device_kind
    return peak * self.devices

  @property
  def devices(self) -> int:
    """Return the number of JAX devices of one chip."""
    return peaks.devices_per_chip(self.device_kind)


CHIPS: Mapping[str, Chip] = {
  "v3": Chip("TPU v3", 900e9, 15.48 * GIB, 2, 100e9, 32, 3.125e9),
  "v4": Chip("TPU v4", 1_200e9, 30.75 * GIB, 3, 45e9, 4, 6.25e9),
  "v5e": Chip("TPU v5 lite", 819e9, 15.75 * GIB, 2, 45e9, 16, 3.125e9),
  "v5p": Chip("TPU v5", 2_765e9, 95.73 * GIB, 3, 90e9, 4, 6.25e9),
  "v6e": Chip("TPU v6 lite", 1_638e9, 31.24 * GIB, 2, 90e9, 16, 12.5e9),
  "tpu7x": Chip("TPU7x", 7_380e9, 94.74 * GIB, 3, 100e9, 4, 12.5e9),
}
