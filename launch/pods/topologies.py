# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The TPU slices that can be scheduled, and their names in each interface.

Sources: the tables of "Plan TPUs in GKE" (labels, machines, topologies) and of
the Cloud TPU pages on each chip (accelerator types, runtime versions), as XPK
and kubectl-ray restate them.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from bertjax.plan.hardware import slices


class Chip(NamedTuple):
  """A kind of TPU.

  Attributes:
    gke_accelerator: value of the node label `gke-tpu-accelerator`.
    accelerator_type: gcloud's name of a slice, without its number.
    counted: by how much that number grows with each chip: 2 counts cores.
    runtime_version: image of a TPU VM.
    machines: chips per host → machine type.
  """

  gke_accelerator: str
  accelerator_type: str
  counted: int
  runtime_version: str
  machines: Mapping[int, str]


CHIPS = {
  "v4": Chip(
    "tpu-v4-podslice", "v4", 2, "tpu-ubuntu2204-base", {4: "ct4p-hightpu-4t"}
  ),
  "v5e": Chip(
    "tpu-v5-lite-podslice",
    "v5litepod",
    1,
    "v2-alpha-tpuv5-lite",
    {chips: f"ct5lp-hightpu-{chips}t" for chips in (1, 4, 8)},
  ),
  "v5p": Chip(
    "tpu-v5p-slice", "v5p", 2, "v2-alpha-tpuv5", {4: "ct5p-hightpu-4t"}
  ),
  "v6e": Chip(
    "tpu-v6e-slice",
    "v6e",
    1,
    "v2-alpha-tpuv6e",
    {chips: f"ct6e-standard-{chips}t" for chips in (1, 4, 8)},
  ),
  "tpu7x": Chip(
    "tpu7x",
    "tpu7x",
    2,
    "v2-alpha-tpu7-ubuntu2404",
    {chips: f"tpu7x-standard-{chips}t" for chips in (1, 4)},
  ),
}


class Slice(NamedTuple):
  """One slice, with all names that are needed to request it.

  Attributes:
    kind: key of CHIPS.
    shape: chips along each axis of the torus.
    chips_per_host: chips of each host, and of each pod.
    hosts: machines of the slice, and pods of one Job.
    machine: machine type of each host.
    accelerator_type: gcloud's name; None if that name means another shape.
  """

  kind: str
  shape: slices.Shape
  chips_per_host: int
  hosts: int
  machine: str
  accelerator_type: str | None

  @property
  def chips(self) -> int:
    """Number of chips of the slice."""
    return math.prod(self.shape)

  @property
  def topology(self) -> str:
    """Value of the node label `gke-tpu-topology`."""
    return "x".join(map(str, self.shape))

  @property
  def chip(self) -> Chip:
    """The kind of TPU."""
    return CHIPS[self.kind]

  def __str__(self) -> str:
    return slices.name(self.kind, self.shape)


def find(text: str) -> Slice:
  """Return the slice named `text`, for example v5e:16x16.

  Raises:
    ValueError: it cannot be scheduled; the message names the nearest that can.
  """
  kind, shape = slices.parse(text)
  if kind == "v3":
    raise ValueError(
      f"--topology={text}: launch.pods does not write files for v3; give "
      f"{', '.join(CHIPS)}"
    )
  if kind not in CHIPS:
    raise ValueError(f"--topology={text}: give one of {', '.join(CHIPS)}")
  if shape not in slices.shapes(kind):
    raise ValueError(
      f"--topology={text} cannot be scheduled; the nearest that can: "
      + slices.suggest(kind, shape, "slices")
    )
  return _make(kind, shape)


def _make(kind: str, shape: slices.Shape) -> Slice:
  chip, chips = CHIPS[kind], math.prod(shape)
  # Eight chips of a 2-D kind are one machine; larger slices have machines of 4.
  per_host = chips if chips in chip.machines and chips <= 8 else 4
  # gcloud's name has the number only, and means the most compact shape.
  usual = next(s for s in slices.shapes(kind) if math.prod(s) == chips)
  name = f"{chip.accelerator_type}-{chips * chip.counted}"
  return Slice(
    kind,
    shape,
    per_host,
    chips // per_host,
    chip.machines[per_host],
    name if shape == usual else None,
  )
