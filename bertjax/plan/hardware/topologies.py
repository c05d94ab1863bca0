# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Slices of TPUs by name, and devices to compile for that are not there.

JAX is imported for devices alone, so that a mistake is told at once.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from bertjax.plan.hardware import slices
from bertjax.plan.hardware.chips import CHIPS, Chip


class Placeholder(NamedTuple):
  """What can be known of a JAX device without JAX.

  Attributes:
    device_kind: the name that JAX gives to devices of this chip.
    platform: JAX's name of TPUs.
  """

  device_kind: str
  platform: str = "tpu"


@dataclasses.dataclass(frozen=True)
class Topology:
  """One slice, or several alike.

  Attributes:
    kind: key of CHIPS.
    shape: chips along each axis of the torus.
    num_slices: joined by the data-centre network.
  """

  kind: str
  shape: slices.Shape
  num_slices: int = 1

  @property
  def chip(self) -> Chip:
    """What each of its chips can do."""
    return CHIPS[self.kind]

  @property
  def name(self) -> str:
    """As the compiler calls one slice."""
    return slices.name(self.kind, self.shape)

  @property
  def slice_chips(self) -> int:
    """Chips of one slice."""
    return math.prod(self.shape)

  @property
  def num_chips(self) -> int:
    """Chips of all slices."""
    return self.slice_chips * self.num_slices

  @property
  def num_devices(self) -> int:
    """JAX devices of all slices."""
    return self.num_chips * self.chip.devices

  @property
  def placeholders(self) -> list["Placeholder"]:
    """One stand-in for each JAX device, for checks without JAX and libtpu."""
    return [Placeholder(self.chip.device_kind)] * self.num_devices

  def __str__(self) -> str:
    many = f"{self.num_slices} × " if self.num_slices > 1 else ""
    return f"{many}{self.name}"


def find(text: str, num_slices: int = 1) -> Topology:
  """Return the topology called `text`, as v5e:16x16 or v4:4x4x8.

  Raises:
    ValueError: it does not exist; names the nearest that do.
  """
  if num_slices < 1:
    raise ValueError(f"--num_slices={num_slices}; give 1 or more")
  kind, shape = slices.parse(text)
  if kind not in CHIPS:
    raise ValueError(
      f"--topology={text}: no chip is called {kind}; give one of "
      + ", ".join(CHIPS)
    )
  if shape not in slices.shapes(kind):
    raise ValueError(
      f"--topology={text} does not exist; the nearest that do: "
      + slices.suggest(kind, shape, "num_slices", num_slices)
    )
  return Topology(kind, shape, num_slices)


def of_size(kind: str, num_chips: int) -> Topology | None:
  """Return the most compact topology of so many chips, of as few slices.

  None where neither one slice nor several of the largest come to that.
  """
  found = slices.of_size(kind, num_chips)
  return None if found is None else Topology(kind, *found)


def get_devices(topology: Topology) -> list[Any]:
  """Return devices that can be compiled for, and nothing else.

  Raises:
    ValueError: libtpu is absent, or another process holds it, or it does not
      know the topology.
  """
  from jax.experimental import topologies

  options: dict[str, Any] = {}
  if topology.num_slices > 1:
    options["num_slices"] = topology.num_slices
  if topology.kind == "v4":
    options["chip_config_name"] = "megacore"  # as JAX has it on a v4
  if topology.slice_chips == 1:
    options["chips_per_host_bounds"] = (1, 1, 1)
  with _told(topology):
    description = topologies.get_topology_desc(topology.name, "tpu", **options)
  devices = list(description.devices)
  assert len(devices) == topology.num_devices, (str(topology), len(devices))
  return devices


@contextlib.contextmanager
def _told(topology: Topology) -> Iterator[None]:
  """Turn what libtpu says into what a user can do about it."""
  try:
    yield
  except (RuntimeError, OSError) as error:
    text = " ".join(str(error).split())
    if "TPU support not installed" in text:
      raise ValueError(
        "the TPU's compiler, libtpu, is not installed; pip install "
        "'bertjax[plan]', which needs no TPU"
      ) from error
    if "lockfile" in text or "already in use" in text:
      raise ValueError(
        "another process of this machine holds libtpu; wait for it to end, "
        "or where there is no TPU in this machine set "
        "ALLOW_MULTIPLE_LIBTPU_LOAD=1"
      ) from error
    raise ValueError(
      f"--topology={topology.name}: this version of libtpu cannot compile for "
      f"it: {text[:200]}"
    ) from error
