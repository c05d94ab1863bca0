# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Runtimes are compared only where they are installed."""

import importlib.util

import jax
import pytest

from bertjax.parallel.mesh import make_mesh

PACKAGES = ("onnx", "onnxruntime", "torch", "transformers")
collect_ignore_glob = (
  []
  if all(map(importlib.util.find_spec, PACKAGES))
  else ["prediction*_test.py", "transformers_training_test.py"]
)


@pytest.fixture(scope="module")
def one_device():
  """Compiling for eight takes three times as long."""
  with pytest.MonkeyPatch.context() as patch:
    for module in ("launch.tasks", "bertjax.finetune.arm"):
      patch.setattr(
        f"{module}.make_mesh",
        lambda config: make_mesh(config, jax.devices()[:1]),
      )
    yield
