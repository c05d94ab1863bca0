# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Bounds against arithmetic done by hand."""

import pytest

from bertjax.plan import cost, roofline, scaling
from bertjax.plan.hardware.topologies import find, of_size
from bertjax.plan.hlo.collectives import Collective, by_kind
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
def test_an_all_reduce_of_gradients_takes_what_the_book_says(
  name, milliseconds
):
  topology = find(name)
  time = roofline.seconds(all_reduce(topology.num_chips), topology)
  assert 1e3 * time == pytest.approx(milliseconds, rel=0.02)


def test_an_axis_whose_ends_are_apart_has_half():
  whole, part = find("v5e:16x16"), find("v5e:8x16")
  assert roofline.ici_bandwidth(whole, 256) == 4 * 45e9
  assert roofline.ici_bandwidth(part, 128) == 3 * 45e9
  assert roofline.ici_bandwidth(whole, 16) == 2 * 45e9
  assert roofline.ici_bandwidth(whole, 4) == 45e9


def test_two_devices_of_a_chip_have_no_network_between_them():
  topology = find("v3:4x4")
  assert roofline.seconds(all_reduce(2), topology) == 0
  assert roofline.seconds(all_reduce(32), topology) > 0


def test_a_step_waits_for_what_is_exposed():
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


def test_a_run_costs_its_hours_on_all_chips():
  run = cost.of_run([(1800, 10, 1.0), (900, 30, 2.0)], find("v5e:2x2", 2), 1.5)
  assert run == {
    "steps": 2700,
    "positions": 45_000,
    "hours": 1.0,
    "chip_hours": 8.0,
    "price": 12.0,
  }
  assert cost.of_run([(1, 1, 1.0)], find("v5e:2x2"))["price"] is None


def test_more_chips_join_the_same_arrays():
  compiled = find("v5e:4x4")
  rows = by_kind([all_reduce(16), all_reduce(4)])
  whole, part = sorted(
    scaling.rescale(rows, compiled, find("v5e:16x16")),
    key=lambda one: -one.group,
  )
  assert (whole.group, part.group) == (256, 4)
  assert whole.bytes == part.bytes == 673e6
  assert whole.wire_bytes == pytest.approx(2 * 673e6 * 255 / 256)


def test_slices_join_their_parts():
  compiled, topology = find("v5e:4x4"), of_size("v5e", 1024)
  assert topology is not None
  assert topology.num_slices == 4
  rows = by_kind([all_reduce(16)])
  inside, between = scaling.rescale(rows, compiled, topology)
  assert (inside.group, inside.crosses) == (256, False)
  assert (between.group, between.crosses) == (4, True)
  assert between.bytes == pytest.approx(673e6 / 256, rel=1e-6)
  assert between.wire_bytes == pytest.approx(2 * 673e6 / 256 * 3 / 4, rel=1e-6)
