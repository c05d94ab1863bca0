# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Bounds against arithmetic by hand."""

import pytest

from bertjax.plan import roofline
from bertjax.plan.hardware.topologies import find
from bertjax.plan.hlo.collectives import Collective
from bertjax.plan.hlo.parsing import Array

GRADIENTS = (Array("bf16", (336_500_000,)),)  # 673 MB, of BERT-large


def all_reduce(group, **changes):
  return Collective("all-reduce", "x", GRADIENTS, group=group, **changes)


@pytest.mark.parametrize(
  ("name", "milliseconds"),
  # Two directions of each link of a torus: scaling-book, sharding.md.
  [
    ("v4:4x4x4", 5.0),
    ("v5e:16x16", 7.5),
    ("v5p:4x4x4", 2.5),
    ("v6e:16x16", 3.7),
  ],
)
def test_an_all_reduce_takes_the_time_of_the_scaling_book(name, milliseconds):
  topology = find(name)
  time = roofline.seconds(all_reduce(topology.num_chips), topology)
  assert 1e3 * time == pytest.approx(milliseconds, rel=0.02)


def test_an_axis_that_does_not_wrap_around_has_half_the_bandwidth():
  whole, part = find("v5e:16x16"), find("v5e:8x16")
  assert roofline.ici_bandwidth(whole, 256) == 4 * 45e9
  assert roofline.ici_bandwidth(part, 128) == 3 * 45e9
  assert roofline.ici_bandwidth(whole, 16) == 2 * 45e9
  assert roofline.ici_bandwidth(whole, 4) == 45e9


def test_a_collective_inside_a_chip_takes_no_time():
  topology = find("v3:4x4")
  assert roofline.seconds(all_reduce(2), topology) == 0
  assert roofline.seconds(all_reduce(32), topology) > 0


def test_a_step_waits_for_exposed_collectives_only():
  topology = find("v5e:4x4")
  flops, bytes_ = 197e12, 2 * 819e9  # 1 s and 2 s
  alone = roofline.bound(topology, [], flops=flops, hbm_bytes=bytes_)
  assert (alone.compute, alone.memory, alone.step) == (1, 2, 2)
  assert alone.limited_by == "memory"
  beside = [all_reduce(16, overlaps=True)]
  assert (
    roofline.bound(topology, beside, flops=flops, hbm_bytes=bytes_).step == 2
  )
  exposed = [all_reduce(16)]
  longer = roofline.bound(topology, exposed, flops=flops, hbm_bytes=bytes_)
  time = roofline.seconds(exposed[0], topology)
  assert longer.step == pytest.approx(2 + time)


def test_a_device_of_half_a_chip_has_half_its_rates():
  flops = {name: find(name).chip.peak_flops for name in ("v3:4x4", "v5e:4x4")}
  for name, peak in flops.items():
    topology = find(name)
    bound = roofline.bound(
      topology, [], flops=peak / topology.chip.devices, hbm_bytes=0
    )
    assert bound.compute == pytest.approx(1)
