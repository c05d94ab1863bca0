# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The device mesh: data × fsdp × tensor."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from bertjax.config import MeshConfig, checks

DATA = "data"
MESH_AXES = (DATA, "fsdp", "tensor")
# The rows of a batch are sharded over these axes.
BATCH_AXES = (DATA, "fsdp")


def make_mesh(config: MeshConfig, devices: Sequence[Any] | None = None) -> Mesh:
  """Return the mesh data × fsdp × tensor over `devices` (default: all).

  Neighbors on the mesh are neighbors on the network. Where the devices belong
  to several slices, only the axis `data` crosses from one slice to the next.

  Raises:
    ValueError: the axes do not multiply to the number of devices, or do not
      fit the slices.
  """
  devices = list(jax.devices() if devices is None else devices)
  data, fsdp, tensor = checks.mesh_shape(config, len(devices))
  by_slice: dict[int, list[Any]] = {}
  for device in devices:
    by_slice.setdefault(getattr(device, "slice_index", 0), []).append(device)
  slices = checks.mesh_slices(config, data, len(by_slice))
  inner = (data // slices, fsdp, tensor)
  if slices > 1 and len(by_slice) > 1:
    array = mesh_utils.create_hybrid_device_mesh(
      inner, (slices, 1, 1), devices, allow_split_physical_axes=True
    )
  else:
    # Devices without a `slice_index` are grouped into slices in their order.
    array = np.concatenate(
      [
        mesh_utils.create_device_mesh(
          inner, list(group), allow_split_physical_axes=True
        )
        for group in np.split(np.array(devices), slices)
      ]
    )
  # Auto: the compiler shards axes that the table of logical axes leaves open.
  return Mesh(array, MESH_AXES, axis_types=(AxisType.Auto,) * len(MESH_AXES))
