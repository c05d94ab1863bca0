# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Slices that exist, and errors about slices that do not."""

import importlib.util
import math
import os
import pathlib
import subprocess
import sys

import pytest
from jax.experimental import topologies as jax_topologies

from bertjax.plan.hardware import slices, topologies
from bertjax.plan.hardware.chips import CHIPS
from bertjax.train import peaks


@pytest.mark.parametrize(
  ("name", "chips", "devices"),
  [
    ("v3:4x4", 16, 32),
    ("v4:4x4x4", 64, 64),
    ("v5e:1x1", 1, 1),
    ("v5e:16x16", 256, 256),
    ("v5p:4x4x8", 128, 128),
    ("v6e:2x4", 8, 8),
    ("tpu7x:4x4x4", 64, 128),
  ],
)
def test_a_topology_has_its_chips_and_devices(name, chips, devices):
  topology = topologies.find(name)
  assert (topology.num_chips, topology.num_devices) == (chips, devices)
  assert str(topology) == name
  twice = topologies.find(name, 2)
  assert twice.num_devices == 2 * devices
  assert str(twice) == f"2 × {name}"


@pytest.mark.parametrize(
  ("name", "slices", "words"),
  [
    ("v5e:16x32", 1, "; or --topology=v5e:16x16 --num_slices=2"),
    ("v5e:16x32", 2, "; or --topology=v5e:16x16 --num_slices=4"),
    ("v5e:3x3", 1, "v5e:2x4"),
    ("v4:2x2", 1, "v4:2x2x1"),
    ("v9:2x2", 1, "v3, v4, v5e, v5p, v6e, tpu7x"),
    ("v5e", 1, "write it as v5e:16x16"),
    ("v5e:0x2", 1, "write it as v5e:16x16"),
    ("v5e:2x2", 0, "give 1 or more"),
  ],
)
def test_a_topology_that_does_not_exist_is_refused_with_the_nearest(
  name, slices, words
):
  with pytest.raises(ValueError, match=r"--(topology|num_slices)=") as error:
    topologies.find(name, slices)
  assert words in str(error.value)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", CHIPS)
def test_every_number_of_chips_is_one_slice_or_several_of_the_largest(kind):
  largest = math.prod(slices.shapes(kind)[-1])
  for chips in (8, 16, 64, 256, 1024, 4096):
    found = topologies.of_size(kind, chips)
    if found is None:
      continue
    assert found.num_chips == chips
    assert found.num_slices == max(1, chips // largest)
    assert topologies.find(found.name, found.num_slices) == found
  assert topologies.of_size(kind, 7) is None


def test_a_device_of_two_cores_has_half_a_chip():
  for chip in CHIPS.values():
    peak = peaks.peak_flops(chip.device_kind)
    assert peak is not None
    assert chip.peak_flops == peak * chip.devices
  assert CHIPS["v3"].peak_flops == 123e12
  assert CHIPS["tpu7x"].peak_flops == 2307e12
  assert CHIPS["v4"].devices == 1


@pytest.mark.parametrize(
  ("error", "words"),
  [
    (RuntimeError("JAX TPU support not installed"), "pip install"),
    (
      RuntimeError("ABORTED: … accessing libtpu multi-process lockfile. Run"),
      "another process on this machine holds libtpu",
    ),
    (RuntimeError("INVALID_ARGUMENT: layout\nof it"), "cannot compile for it"),
  ],
)
def test_an_error_of_libtpu_is_one_line_with_the_fix(monkeypatch, error, words):
  def refuse(*_, **__):
    raise error

  monkeypatch.setattr(jax_topologies, "get_topology_desc", refuse)
  with pytest.raises(ValueError, match=words) as error_info:
    topologies.get_devices(topologies.find("v5e:2x2"))
  assert "\n" not in str(error_info.value)


COMPARE = """
from bertjax.plan import environment
environment.set_environment()
from bertjax.plan.hardware import topologies
for name in ("v3:4x4", "v4:2x2x2", "v5e:2x2", "v5p:2x2x2", "v6e:2x2"):
  topology = topologies.find(name)
  devices = topologies.get_devices(topology)
  assert len(devices) == len(topology.placeholders)
  for device, placeholder in zip(devices, topology.placeholders):
    assert device.device_kind == placeholder.device_kind, name
    assert device.platform == placeholder.platform, name
"""


@pytest.mark.full
@pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None,
  reason="libtpu is not installed: pip install 'bertjax[plan]'",
)
def test_placeholders_have_the_kind_and_platform_of_jax_devices():
  subprocess.run(
    [sys.executable, "-c", COMPARE],
    cwd=pathlib.Path(__file__).parents[4],
    env={**os.environ, "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"},
    check=True,
    timeout=600,
  )
