# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A cuDNN that is missing or too old is a line before anything compiles."""

import dataclasses
import sys
import types

import pytest

from bertjax.config import SIZES, ComputeConfig
from bertjax.config.checks import cudnn, kernels
from bertjax.parallel import backend

MODEL = dataclasses.replace(SIZES["base"], attention_dropout_rate=0.0)
ASKED = ComputeConfig(dtype="bfloat16", attention="cudnn")


@pytest.fixture(autouse=True)
def no_plugin(monkeypatch):
  """Hide the plugins that are installed here."""
  for name in cudnn._PLUGINS:
    monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def plugin(monkeypatch):
  """Return a function that installs a plugin which finds a version of cuDNN."""

  def install(found, name="jax_cuda13_plugin"):
    def get():
      if found is None:
        raise RuntimeError("cuDNN not found.")  # as the plugin itself does
      return found

    versions = types.SimpleNamespace(
      cudnn_build_version=lambda: 91201, cudnn_get_version=get
    )
    monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, f"{name}._versions", versions)

  return install


@pytest.mark.parametrize(
  ("found", "capability", "words"),
  [
    (None, "", "needs cuDNN 9.12 and finds none; pip install -U nvidia-cudnn"),
    (91199, "", "needs cuDNN 9.12 or later, and 9.11.99 is here; pip install"),
    (91200, "", ""),  # any patch version will do
    (91300, "10.3", ""),
  ],
)
def test_what_is_wrong_is_a_line(plugin, found, capability, words):
  plugin(found)
  said = cudnn.lacking(capability)
  assert words in said
  assert bool(words) == bool(said)
  assert "\n" not in said


def test_a_card_may_need_a_later_one_than_jax_does(plugin, monkeypatch):
  monkeypatch.setitem(cudnn._NEEDED, "10.3", 91400)
  plugin(91300, "jax_cuda12_plugin")
  assert not cudnn.lacking("9.0")
  assert cudnn.lacking("10.3") == (
    "jax_cuda12_plugin needs cuDNN 9.14 or later, and 9.13 is here; "
    "pip install -U nvidia-cudnn-cu12"
  )


def test_without_a_plugin_nothing_is_said():
  assert not cudnn.lacking()


def resolve(platform):
  device = types.SimpleNamespace(
    platform=platform, device_kind="NVIDIA H100", compute_capability="9.0"
  )
  return kernels.resolve(ASKED, MODEL, device, 512)


def test_a_kernel_without_cudnn_is_refused_with_what_runs_instead(plugin):
  plugin(91200)
  assert resolve("gpu").attention == "cudnn"
  plugin(None)
  with pytest.raises(
    ValueError, match=r"^compute\.attention=cudnn: .* finds none; pip .*, or "
  ) as caught:
    resolve("gpu")
  assert str(caught.value).endswith("or give auto, which takes xla here")


def test_a_gpu_that_jax_left_aside_is_explained(plugin, monkeypatch):
  plugin(None)
  with pytest.raises(
    ValueError, match=r"this is cpu; give auto, .*; jax_cuda13_plugin needs"
  ):
    resolve("cpu")
  monkeypatch.setattr(backend, "_has_devices", lambda: False)
  monkeypatch.setenv("JAX_PLATFORMS", "cuda")
  assert backend.explain(AssertionError()).startswith(
    "JAX_PLATFORMS=cuda cannot be started here: jax_cuda13_plugin needs cuDNN "
    "9.12 and finds none; pip install -U nvidia-cudnn-cu13; JAX_PLATFORMS=cpu"
  )
