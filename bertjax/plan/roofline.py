# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The least time that a step can take, by what the chip can do.

A bound, and never a measurement: every unit works at its peak, and what may
overlap does so fully.
"""

import dataclasses
from collections.abc import Sequence

from bertjax.plan.hardware.topologies import Topology
from bertjax.plan.hlo.collectives import Collective


@dataclasses.dataclass(frozen=True)
class Bound:
  """Seconds of one step.

  Attributes:
    compute: products at the peak rate.
    memory: bytes at the memory's bandwidth.
    overlapped: collectives beside which computation goes on.
    exposed: collectives for which everything waits.
  """

  compute: float
  memory: float
  overlapped: float
  exposed: float

  @property
  def step(self) -> float:
    """Seconds that a step takes at least."""
    return max(self.compute, self.memory, self.overlapped) + self.exposed

  @property
  def limited_by(self) -> str:
    """What takes the longest."""
    times = {
      "compute": self.compute,
      "memory": self.memory,
      "collectives": self.overlapped + self.exposed,
    }
    return max(times, key=lambda name: times[name])


def bound(
  topology: Topology,
  collectives: Sequence[Collective],
  *,
  flops: float,
  hbm_bytes: float,
) -> Bound:
  """Return the least seconds of a step.

  Args:
    topology: that it runs on.
    collectives: of the step.
    flops: of one JAX device.
    hbm_bytes: of one JAX device.
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
  """Return the seconds of a collective, all its runs in a step.

  By jax-ml/scaling-book, sharding.md: an all-gather takes V / W where W is the
  bandwidth of all links that take part, and an all-reduce twice that.
  """
  chip = topology.chip
  if one.crosses:
    return one.wire_bytes * chip.devices / chip.dcn_bandwidth
  group = one.group // chip.devices
  if group <= 1 < chip.devices:
    return 0.0  # inside a chip
  return one.wire_bytes / ici_bandwidth(topology, group)


def ici_bandwidth(topology: Topology, group: int) -> float:
  """Return the bytes a second at which `group` chips of a slice can send.

  They lie along as few axes of the slice as hold them, the longest first. An
  axis whose ends are joined, and which they fill, sends both ways.
  """
  total, left = 0.0, group
  for size in sorted(topology.shape, reverse=True):
    if left <= 1 or size == 1:
      break
    joined = size >= topology.chip.wraps and left >= size
    total += topology.chip.link_bandwidth * (2 if joined else 1)
    left = -(-left // size)
  return total or topology.chip.link_bandwidth
