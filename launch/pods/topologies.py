# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Which TPU slices exist, and what each cloud interface calls them.

About scheduling only. Sources: the tables of "Plan TPUs in GKE" (labels,
machines, topologies) and of the Cloud TPU pages on each chip (accelerator
types, runtime versions), as XPK and kubectl-ray restate them.
"""

import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Shape = tuple[int, ...]

_CUBE = 4  # a rack of 3-D chips is 4×4×4; larger slices are joined from racks
_PLANES = ((1, 1), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16))
_BELOW_A_CUBE = ((2, 2, 1), (2, 2, 2), (2, 2, 4), (2, 4, 4))


class Chip(NamedTuple):
  """A kind of TPU.

  Attributes:
    gke_accelerator: value of the node label `gke-tpu-accelerator`.
    accelerator_type: what stands before the number in gcloud's name.
    counted: what the number in that name counts on each chip.
    runtime_version: image of a TPU VM.
    machines: machine type by chips per host.
    largest: chips of the largest slice of a 3-D kind; 0 for 2-D.
    single: whether a 3-D kind has a slice of one chip.
  """

  gke_accelerator: str
  accelerator_type: str
  counted: int
  runtime_version: str
  machines: Mapping[int, str]
  largest: int = 0
  single: bool = False


CHIPS = {
  "v4": Chip(
    "tpu-v4-podslice",
    "v4",
    2,
    "tpu-ubuntu2204-base",
    {4: "ct4p-hightpu-4t"},
    largest=4096,
  ),
  "v5e": Chip(
    "tpu-v5-lite-podslice",
    "v5litepod",
    1,
    "v2-alpha-tpuv5-lite",
    {chips: f"ct5lp-hightpu-{chips}t" for chips in (1, 4, 8)},
  ),
  "v5p": Chip(
    "tpu-v5p-slice",
    "v5p",
    2,
    "v2-alpha-tpuv5",
    {4: "ct5p-hightpu-4t"},
    largest=6144,
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
    largest=9216,
    single=True,
  ),
}


class Slice(NamedTuple):
  """One slice, ready to be asked for.

  Attributes:
    kind: key of CHIPS.
    shape: chips along each axis of the torus.
    chips_per_host: also those of one pod.
    hosts: machines of the slice; pods of one Job.
    machine: machine type of each host.
    accelerator_type: gcloud's name, None where that name is of another shape.
  """

  kind: str
  shape: Shape
  chips_per_host: int
  hosts: int
  machine: str
  accelerator_type: str | None

  @property
  def chips(self) -> int:
    """Chips of the slice."""
    return math.prod(self.shape)

  @property
  def topology(self) -> str:
    """Value of the node label `gke-tpu-topology`."""
    return "x".join(map(str, self.shape))

  @property
  def chip(self) -> Chip:
    """What holds for every slice of its kind."""
    return CHIPS[self.kind]

  def __str__(self) -> str:
    return f"{self.kind}:{self.topology}"


def parse(text: str) -> tuple[str, Shape]:
  """`v5e:16x16` → ("v5e", (16, 16)); whether it exists is not asked.

  Raises:
    ValueError: `text` has another form.
  """
  if not re.fullmatch(r"\w+:[1-9]\d*(x[1-9]\d*)*", text):
    raise ValueError(f"--topology={text!r}; write it as v5e:16x16 or v5p:4x4x8")
  kind, _, shape = text.partition(":")
  return kind, tuple(map(int, shape.split("x")))


def find(text: str) -> Slice:
  """The slice called `text`.

  Raises:
    ValueError: nothing of that name can be scheduled; names the nearest.
  """
  kind, shape = parse(text)
  if kind == "v3":
    raise ValueError(
      f"--topology={text}: v3 is not made here; give one of {', '.join(CHIPS)}"
    )
  if kind not in CHIPS:
    raise ValueError(f"--topology={text}: give one of {', '.join(CHIPS)}")
  if shape not in shapes(kind):
    raise ValueError(
      f"--topology={text} cannot be scheduled; the nearest that can: "
      + ", ".join(f"{kind}:{'x'.join(map(str, s))}" for s in _near(kind, shape))
    )
  return _make(kind, shape)


@functools.cache
def shapes(kind: str) -> tuple[Shape, ...]:
  """Every shape of `kind`, by number of chips, the most compact first."""
  chip = CHIPS[kind]
  if not chip.largest:
    return _PLANES
  found = [*_BELOW_A_CUBE, *([(1, 1, 1)] if chip.single else [])]
  cubes = chip.largest // _CUBE**3
  for a in range(1, cubes + 1):
    for b in range(a, cubes // a + 1):
      found += [
        (_CUBE * a, _CUBE * b, _CUBE * c)
        for c in range(b, cubes // (a * b) + 1)
      ]
  return tuple(sorted(found, key=lambda s: (math.prod(s), sum(s), s)))


def _make(kind: str, shape: Shape) -> Slice:
  chip, chips = CHIPS[kind], math.prod(shape)
  # Eight chips of a 2-D kind are one machine; everything larger is of fours.
  per_host = chips if chips in chip.machines and chips <= 8 else 4
  # gcloud's name tells the number only, and means the most compact shape.
  usual = next(s for s in shapes(kind) if math.prod(s) == chips)
  name = f"{chip.accelerator_type}-{chips * chip.counted}"
  return Slice(
    kind,
    shape,
    per_host,
    chips // per_host,
    chip.machines[per_host],
    name if shape == usual else None,
  )


def _near(kind: str, shape: Sequence[int], count: int = 3) -> list[Shape]:
  """Shapes of about as many chips, the same number first."""
  chips = math.prod(shape)
  return sorted(
    shapes(kind), key=lambda s: (abs(math.log(math.prod(s) / chips)), sum(s))
  )[:count]
