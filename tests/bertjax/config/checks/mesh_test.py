# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A mesh divides devices, batch and model, or is refused in one line."""

import pytest

from bertjax.config import MeshConfig, checks
from tests.testing.configs import check_run


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"mesh.data": 3}, r"data=3 .*multiply to 8 devices; give data=8"),
    ({"mesh.fsdp": 16}, r"fsdp=16 .*; give data=1 fsdp=8 tensor=1"),
    ({"mesh.data": 2, "mesh.fsdp": 2}, "give data=4 fsdp=2 tensor=1"),
    ({"mesh.fsdp": -1}, "at most one axis"),
    ({"mesh.tensor": 0}, "sizes of 1 or more"),
    ({"mesh.data": 4}, "give data=8 fsdp=1 tensor=1"),
    ({"mesh.slices": -1}, r"mesh\.slices=-1; give 0 to follow"),
    ({"mesh.slices": 3}, r"mesh\.data=8 cannot cross 3 slices"),
    ({"mesh.tensor": 8}, r"num_heads=12; give a divisor, such as 6"),
    ({"batch_size": 100}, r"^batch_size=100 is not a multiple .* give 96"),
    ({"optimizer.accumulation": 3}, r"8 × 1 × 3 = 24; give 264"),
    (
      {"phase2.steps": 5, "phase2.batch_size": 100},
      r"^phase2\.batch_size=100 .* × phase2\.accumulation = 8 × 1 × 1 = 8",
    ),
  ],
)
def test_a_mesh_that_does_not_divide_is_one_line(changes, message):
  with pytest.raises(ValueError, match=message) as caught:
    check_run(changes)
  assert "\n" not in str(caught.value)


def test_a_mesh_axis_takes_the_remaining_devices():
  assert checks.mesh_shape(MeshConfig(), 8) == (8, 1, 1)
  assert checks.mesh_shape(MeshConfig(data=2, fsdp=-1), 8) == (2, 4, 1)
  assert checks.mesh_shape(MeshConfig(data=2, fsdp=2, tensor=2), 8) == (2, 2, 2)
