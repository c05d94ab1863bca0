# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a compute config leaves open is chosen for the devices."""

import dataclasses
from typing import Any

import jax
import pytest

from bertjax.config import SIZES, ComputeConfig
from bertjax.config.checks import open_choices

CPU = jax.devices()[0]


class Tpu:
  """What the choices read of a device."""

  platform = "tpu"
  device_kind = "TPU v5 lite"


def unroll(compute, size="tiny", devices: Any = (CPU,)):
  return open_choices.resolve(compute, SIZES[size], devices, 128).unroll


def test_one_cpu_loops_over_no_states_that_it_would_convert():
  """Of bfloat16 it converts a whole stack for each layer."""
  for size, model in SIZES.items():
    assert unroll(ComputeConfig(dtype="bfloat16"), size) == model.num_layers


def test_many_layers_in_float32_are_compiled_once():
  taken = {size: unroll(ComputeConfig(), size) for size in SIZES}
  for size, model in SIZES.items():
    assert taken[size] == (1 if model.num_layers > 6 else model.num_layers)
  assert taken["tiny"] > 1
  assert taken["base"] == 1


@pytest.mark.parametrize(
  ("devices", "remat"),
  [((CPU, CPU), "none"), ((Tpu(),), "none"), ((CPU,), "dots")],
  ids=["a mesh of CPUs", "a TPU", "recomputed layers"],
)
def test_all_else_loops(devices, remat):
  compute = ComputeConfig(dtype="bfloat16", remat=remat)
  assert unroll(compute, devices=devices) == 1


@pytest.mark.parametrize("devices", [(CPU,), (CPU, CPU), (Tpu(),)])
def test_a_user_is_followed(devices):
  assert unroll(ComputeConfig(unroll=2), "base", devices) == 2


def test_what_is_chosen_stays():
  once = open_choices.resolve(ComputeConfig(), SIZES["mini"], [CPU], 128)
  again = open_choices.resolve(once, SIZES["mini"], [CPU, CPU], 128)
  assert again == once
  assert dataclasses.replace(once, attention="auto", unroll=0) == (
    ComputeConfig()
  )
