# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""One line says what runs where a device has no bfloat16."""

import types

import jax
import pytest

from launch.run import dtypes

XEON = "model name : Old Xeon\nflags : fpu avx2 avx512f{}\n\n"


@pytest.fixture
def cpu():
  return jax.devices("cpu")[0]


@pytest.mark.parametrize(
  ("text", "lacks"),
  [
    (XEON.format(""), True),
    (XEON.format(" avx512_bf16"), False),
    (XEON.format(" amx_tile amx_bf16"), False),
    ("Features : fp asimd bf16\n", False),
    ("Features : fp asimd\n", True),
    ("", False),  # the system does not say
  ],
)
def test_a_processor_without_bfloat16_is_named(cpu, tmp_path, text, lacks):
  (tmp_path / "cpuinfo").write_text(text)
  found = dtypes.find_obstacle("bfloat16", cpu, tmp_path / "cpuinfo")
  assert bool(found) == lacks
  assert "\n" not in found
  if "Xeon" in text and lacks:
    assert "this processor (Old Xeon) has no instructions for it" in found
    assert "computed in float32" in found
    assert "--config.compute.dtype=float32" in found
  assert not dtypes.find_obstacle("float32", cpu, tmp_path / "cpuinfo")


@pytest.mark.parametrize(
  ("capability", "lacks"), [("7.5", True), ("8.0", False), ("12.0", False)]
)
def test_a_gpu_before_ampere_is_named(capability, lacks):
  device = types.SimpleNamespace(
    platform="gpu", device_kind="T4", compute_capability=capability
  )
  found = dtypes.find_obstacle("bfloat16", device)
  assert ("this GPU (T4) is older than Ampere" in found) == lacks


def test_a_tpu_has_it():
  tpu = types.SimpleNamespace(platform="tpu", device_kind="TPU v2")
  assert not dtypes.find_obstacle("bfloat16", tpu)


def test_it_is_said_once(cpu, monkeypatch, caplog):
  monkeypatch.setattr(dtypes, "find_obstacle", lambda *_: "a line of a test")
  for _ in range(2):
    dtypes.warn_of("bfloat16", cpu)
  assert caplog.messages == ["a line of a test"]
