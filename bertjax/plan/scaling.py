# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""From a plan of one number of chips to another, by arithmetic.

With as many rows a chip, what a chip computes stays as it is, and the arrays
that all chips join stay as large; there are only more that join them.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from bertjax.plan import roofline
from bertjax.plan.hardware.topologies import Topology
from bertjax.plan.hlo.collectives import Collective
from bertjax.plan.hlo.parsing import Array


def rescale(
  rows: Iterable[Mapping[str, Any]], compiled_for: Topology, topology: Topology
) -> list[Collective]:
  """Return the collectives of a data-parallel step on another topology.

  Args:
    rows: of `collectives.by_kind`, for one slice.
    compiled_for: that slice; groups of all its devices grow with it.
    topology: of any number of slices of the same kind of chip. Between
      slices each chip sends its part of what its slice has joined, and
      everything waits for that.
  """
  slice_devices = topology.num_devices // topology.num_slices
  found = []
  for row in rows:
    grows = row["group"] == compiled_for.num_devices
    inside = Collective(
      kind=row["kind"],
      name=row["dtype"],
      arrays=(Array("u8", (row["bytes"],)),),
      group=slice_devices if grows else row["group"],
      in_loop=row["in_loop"],
      overlaps=row["overlaps"],
      # Half of an all-reduce, where it is cut at once.
      scattered=row["wire_bytes"] < 1.01 * row["bytes"],
    )
    found.append(inside)
    if grows and topology.num_slices > 1:
      part = -(-row["bytes"] // topology.slice_chips)
      found.append(
        dataclasses.replace(
          inside,
          arrays=(Array("u8", (part,)),),
          group=topology.num_slices,
          crosses=True,
          overlaps=False,
        )
      )
  return found


def bound_at(
  entry: Mapping[str, Any], compiled_for: Topology, topology: Topology
) -> roofline.Bound:
  """Return the least seconds of a step on another topology.

  Args:
    entry: of a phase that was compiled, with `work` and `collectives`.
    compiled_for: its topology.
    topology: of the same kind of chip.
  """
  work = entry["work"]
  return roofline.bound(
    topology,
    rescale(entry["collectives"] or (), compiled_for, topology),
    flops=work["products_flops"] or work["counted_flops"],
    hbm_bytes=work["hbm_bytes"] or work["counted_bytes"],
  )
