# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""TPU topologies by name, and devices to compile for without owning them.

Only `get_devices` imports JAX, so that a mistyped topology is refused at once.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from bertjax.plan.hardware import slices
from bertjax.plan.hardware.chips import CHIPS, Chip


class Placeholder(NamedTuple):
  """Attributes of a JAX device that are known without JAX.

  Attributes:
    device_kind: JAX's `device_kind`.
    platform: JAX's name of the platform.
  """

  device_kind: str
  platform: str = "tpu"


@dataclasses.dataclass(frozen=True)
class Topology:
  """One slice, or several of the same shape.

  Attributes:
    kind: kind of chip, a key of CHIPS.
    shape: chips along each axis of a slice's torus.
    num_slices: number of slices; the data-center network connects them.
  """

  kind: str
  shape: slices.Shape
  num_slices: int = 1

  @property
  def chip(self) -> Chip:
    """Return the rates and the memory of one chip."""
    return CHIPS[self.kind]

  @property
  def name(self) -> str:
    """Return the compiler's name of one slice."""
    return slices.name(self.kind, self.shape)

  @property
  def slice_chips(self) -> int:
    """Return the number of chips of one slice."""
    return math.prod(self.shape)

  @property
  def num_chips(self) -> int:
    """Return the number of chips of all slices."""
    return self.slice_chips * self.num_slices

  @property
  def num_devices(self) -> int:
    """Return the number of JAX devices of all slices."""
    return self.num_chips * self.chip.devices

  @property
  def placeholders(self) -> list["Placeholder"]:
    """Return a stand-in for each JAX device, for checks without libtpu."""
    return [Placeholder(self.chip.device_kind)] * self.num_devices

  def __str__(self) -> str:
    many = f"{self.num_slices} × " if self.num_slices > 1 else ""
    return f"{many}{self.name}"


def find(text: str, num_slices: int = 1) -> Topology:
  """Return the topology named `text`, such as v5e:16x16 or v4:4x4x8.

  Raises:
    ValueError: the topology does not exist; the message names the nearest.
  """
  if num_slices < 1:
    raise ValueError(f"--num_slices={num_slices}; give 1 or more")
  kind, shape = slices.parse(text)
  if kind not in CHIPS:
    raise ValueError(
      f"--topology={text}: the kind of chip {kind} is unknown; give one of "
      + ", ".join(CHIPS)
    )
  if shape not in slices.shapes(kind):
    raise ValueError(
      f"--topology={text} does not exist; give the nearest that does: "
      + slices.suggest(kind, shape, "num_slices", num_slices)
    )
  return Topology(kind, shape, num_slices)


def of_size(kind: str, num_chips: int) -> Topology | None:
  """Return the most compact topology with `num_chips` and the fewest slices.

  None if there is no topology with exactly `num_chips`.
  """
  found = slices.of_size(kind, num_chips)
  return None if found is None else Topology(kind, *found)


def get_devices(topology: Topology) -> list[Any]:
  """Return JAX devices to compile for; nothing can run on them.

  Raises:
    ValueError: libtpu is not installed, another process holds it, or it does
      not know the topology.
  """
  from jax.experimental import topologies

  options: dict[str, Any] = {}
  if topology.num_slices > 1:
    options["num_slices"] = topology.num_slices
  if topology.kind == "v4":
    options["chip_config_name"] = "megacore"  # JAX's own default on a v4
  if topology.slice_chips == 1:
    options["chips_per_host_bounds"] = (1, 1, 1)
  with _readable_errors(topology):
    description = topologies.get_topology_desc(topology.name, "tpu", **options)
  devices = list(description.devices)
  assert len(devices) == topology.num_devices, (str(topology), len(devices))
  return devices


@contextlib.contextmanager
def _readable_errors(topology: Topology) -> Iterator[None]:
  """Turn an error of libtpu into one that tells a user what to do."""
  try:
    yield
  except (RuntimeError, OSError) as error:
    text = " ".join(str(error).split())
    if "TPU support not installed" in text:
      raise ValueError(
        "libtpu, the TPU compiler, is not installed; run pip install "
        "'bertjax[plan]', which needs no TPU"
      ) from error
    if "lockfile" in text or "already in use" in text:
      raise ValueError(
        "another process on this machine holds libtpu; wait for it to end, or "
        "set ALLOW_MULTIPLE_LIBTPU_LOAD=1 if this machine has no TPU"
      ) from error
    raise ValueError(
      f"--topology={topology.name}: this version of libtpu cannot compile for "
      f"it: {text[:200]}"
    ) from error
