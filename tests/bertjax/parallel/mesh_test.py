# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The mesh over devices and slices."""

import numpy as np
import pytest
from jax.sharding import AxisType

from bertjax.config import MeshConfig
from bertjax.parallel import mesh


def test_only_data_crosses_from_slice_to_slice():
  """Devices 0 to 3 are one slice and 4 to 7 the other."""
  config = MeshConfig(data=4, fsdp=1, tensor=2, slices=2)
  devices = mesh.make_mesh(config).devices
  ids = np.vectorize(lambda device: device.id)(devices)
  assert devices.shape == (4, 1, 2)
  np.testing.assert_array_equal(
    ids // 4, [[[0, 0]], [[0, 0]], [[1, 1]], [[1, 1]]]
  )


def test_devices_that_know_their_slice_are_followed(monkeypatch):
  """In whatever order they come; a mesh of two slices cannot split one."""

  class Device:
    platform, device_kind, process_index = "cpu", "cpu", 0

    def __init__(self, number):
      self.id, self.slice_index = number, number % 2

  devices = [Device(number) for number in range(8)]
  monkeypatch.setattr(mesh, "Mesh", lambda array, *_, **__: array)
  array = mesh.make_mesh(MeshConfig(data=-1, tensor=2), devices)
  slices = np.vectorize(lambda device: device.slice_index)(array)
  assert array.shape == (4, 1, 2)
  np.testing.assert_array_equal(slices[:, 0, 0], [0, 0, 1, 1])
  np.testing.assert_array_equal(slices[..., 0], slices[..., 1])
  with pytest.raises(ValueError, match=r"mesh.data=1 cannot cross 2 slices"):
    mesh.make_mesh(MeshConfig(data=1, tensor=-1), devices)
  with pytest.raises(
    ValueError, match=r"mesh.slices=4, and the devices report 2; give 0"
  ):
    mesh.make_mesh(MeshConfig(slices=4), devices)
  passed_over = mesh.make_mesh(MeshConfig(data=1, fsdp=8, slices=1), devices)
  assert passed_over.shape == (1, 8, 1)


def test_axes_are_auto():
  made = mesh.make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
  assert made.axis_types == (AxisType.Auto,) * 3
  assert made.axis_names == ("data", "fsdp", "tensor")
