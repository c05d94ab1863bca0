# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""JAX is kept from a TPU that is not there, and from nothing else."""

import fnmatch
import glob
import importlib.util
import os
import sys

import pytest

from launch import cli


@pytest.mark.parametrize(
  ("device", "spared"),
  [
    ("null", True),
    ("accel0", False),
    ("vfio", False),
    ("nvidia0", False),
    ("kfd", False),
    ("dxg", False),
  ],
)
def test_a_device_of_any_maker_is_left_to_jax(monkeypatch, device, spared):
  monkeypatch.setenv("JAX_PLATFORMS", "to be put back")
  monkeypatch.delenv("JAX_PLATFORMS")
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
  monkeypatch.setattr(
    glob, "glob", lambda how: fnmatch.filter([f"/dev/{device}"], how)
  )
  monkeypatch.delitem(sys.modules, "jax", raising=False)
  cli._spare_the_tpu()
  assert (os.environ.get("JAX_PLATFORMS") == "cpu") == spared
