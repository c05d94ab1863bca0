# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A mesh divides devices, batch and model, or is refused in one line."""

import dataclasses
import re

import pytest

from bertjax.config import SIZES, MeshConfig, checks
from tests.testing.configs import check_run


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"mesh.data": 3}, r"data=3 .*multiply to 8 devices; give mesh.data=8"),
    (
      {"mesh.fsdp": 16},
      r"fsdp=16 .*; give mesh.data=1 mesh.fsdp=8 mesh.tensor=1",
    ),
    (
      {"mesh.data": 2, "mesh.fsdp": 2},
      "give mesh.data=4 mesh.fsdp=2 mesh.tensor=1",
    ),
    ({"mesh.fsdp": -1}, "at most one axis"),
    ({"mesh.tensor": 0}, "sizes of 1 or more"),
    ({"mesh.data": 4}, "give mesh.data=8 mesh.fsdp=1 mesh.tensor=1"),
    ({"mesh.slices": -1}, r"mesh\.slices=-1; give 0 to follow"),
    (
      {"mesh.slices": 3},
      r"mesh\.data=8 cannot cross 3 slices.*; give mesh\.slices=1 ",
    ),
    (
      {"mesh.tensor": 8},
      r"num_heads=12; give mesh.data=4 mesh.fsdp=1 mesh.tensor=2",
    ),
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


def nearest(message):
  """The mesh that a message says to give."""
  found = re.search(
    r"give mesh.data=(\d+) mesh.fsdp=(\d+) mesh.tensor=(\d+)", message
  )
  assert found, message
  return dict(
    zip(("data", "fsdp", "tensor"), map(int, found.groups()), strict=True)
  )


@pytest.mark.parametrize(
  ("mesh", "model"),
  [
    ({"fsdp": 8}, {"hidden_size": 132, "num_heads": 12}),
    ({"data": 2, "tensor": 4}, {"num_heads": 2}),
    ({"tensor": 3}, {}),
    ({"data": 5, "fsdp": 3}, {"hidden_size": 66, "num_heads": 3}),
    ({"fsdp": 8, "slices": 2}, {}),
    ({"tensor": 8}, {"num_heads": 7, "hidden_size": 770}),
  ],
)
@pytest.mark.parametrize("batch_size", [256, 12, 24])
def test_the_nearest_mesh_works(mesh, model, batch_size):
  """Whatever was wrong first, the mesh of the message passes all checks."""
  config = dataclasses.replace(SIZES["base"], **model)

  def check(mesh):
    checks.check_mesh(mesh, config, num_devices=8, batch_size=batch_size)

  with pytest.raises(ValueError, match="give mesh") as caught:
    check(MeshConfig(**mesh))
  given = MeshConfig(**{**mesh, **nearest(str(caught.value))})
  if batch_size % 8 == 0 or given.data * given.fsdp <= 4:
    check(given)
  else:  # no mesh suits this batch and this model
    with pytest.raises(ValueError, match=r"batch_size=12 is not .* give 16"):
      check(given)
