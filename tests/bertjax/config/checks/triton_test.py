# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A JAX without Triton is a line before anything compiles."""

import sys
import types

import pytest

from bertjax.config import SIZES, ComputeConfig
from bertjax.config.checks import kernels, triton

FLASH = ComputeConfig(dtype="bfloat16", attention="flash")


def resolve(platform):
  device = types.SimpleNamespace(
    platform=platform, device_kind="", compute_capability="9.0"
  )
  return kernels.resolve(FLASH, SIZES["base"], device, 512).attention


def test_flash_without_triton_is_refused_on_gpus_alone(monkeypatch):
  assert resolve("gpu") == "flash"
  assert not triton.lacking()
  monkeypatch.setitem(sys.modules, triton._TRITON, None)
  with pytest.raises(
    ValueError,
    match=r"^compute\.attention=flash: jax .* has no jax\.experimental\..*; "
    r"pip install .*, or give auto, which takes xla here$",
  ):
    resolve("gpu")
  assert resolve("tpu") == "flash"
