# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The least time that a step can take, from the peak rates of the chip.

This is a bound and never a measurement: every unit works at its peak rate, and
what can overlap overlaps fully.
"""

import dataclasses
from collections.abc import Sequence

from bertjax.plan.hardware.topologies import Topology
from bertjax.plan.hlo.collectives import Collective
from bertjax.plan.results import Work


@dataclasses.dataclass(frozen=True)
class Bound:
  """Least seconds of the parts of one step.

  Attributes:
    compute: matrix products at the peak rate.
    memory: HBM traffic at the full bandwidth.
    overlapped: collectives that computation overlaps.
    exposed: collectives that the step waits for.
  """

  compute: float
  memory: float
  overlapped: float
  exposed: float

  @property
  def step(self) -> float:
    """Least seconds of the step."""
    return max(self.compute, self.memory, self.overlapped) + self.exposed

  @property
  def limited_by(self) -> str:
    """The part that takes longest."""
    times = {
      "compute": self.compute,
      "memory": self.memory,
      "collectives": self.overlapped + self.exposed,
    }
    return max(times, key=lambda name: times[name])


def bound_work(
  topology: Topology, collectives: Sequence[Collective], work: Work
) -> Bound:
  """Return the bound of a step.

  Numbers that are read from the program go before the compiler's own count.
  """
  flops = work.products_flops or work.counted_flops
  hbm_bytes = work.hbm_bytes or work.counted_bytes
  assert flops is not None, work
  assert hbm_bytes is not None, work
  return bound(topology, collectives, flops=flops, hbm_bytes=hbm_bytes)


def bound(
  topology: Topology,
  collectives: Sequence[Collective],
  *,
  flops: float,
  hbm_bytes: float,
) -> Bound:
  """Return the bound of a step.

  Args:
    topology: the chips that run the step.
    collectives: the collectives of the step.
    flops: FLOPs of one JAX device.
    hbm_bytes: bytes to and from the HBM of one JAX device.
  """
  chip = topology.chip
  time = {True: 0.0, False: 0.0}
  for one in collectives:
    time[one.overlaps] += seconds(one, topology)
  return Bound(
    compute=flops * chip.devices / chip.peak_flops,
    memory=hbm_bytes * chip.devices / chip.hbm_bandwidth,
    overlapped=time[True],
    exposed=time[False],
  )


def seconds(one: Collective, topology: Topology) -> float:
  """Return the seconds that a collective takes in one step, all runs together.

  After jax-ml/scaling-book, sharding.md: an all-gather takes V / W, where V is
  the size of the gathered array and W the bandwidth of all links that take
  part. An all-reduce takes twice that.
  """
  chip = topology.chip
  if one.crosses:
    return one.wire_bytes * chip.devices / chip.dcn_bandwidth
  group = one.group // chip.devices
  if group <= 1 < chip.devices:
    return 0.0  # both devices are on one chip
  return one.wire_bytes / ici_bandwidth(topology, group)


def ici_bandwidth(topology: Topology, group: int) -> float:
  """Return the bytes a second that each of `group` chips of a slice can send.

  The group fills the axes of the slice one after the other, the longest first.
  Along an axis that wraps around and that the group fills, a chip sends in
  both directions.
  """
  total, left = 0.0, group
  for size in sorted(topology.shape, reverse=True):
    if left <= 1 or size == 1:
      break
    wraps = size >= topology.chip.wraps and left >= size
    total += topology.chip.link_bandwidth * (2 if wraps else 1)
    left = -(-left // size)
  return total or topology.chip.link_bandwidth
