# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Whether JAX's CUDA plugin has a cuDNN that it can use.

If the plugin finds no cuDNN, JAX leaves the GPUs aside with a warning. XLA
refuses one that is older than that it was built with, and JAX one that is too
old for a GPU, but only when a step is compiled or traced.
"""

import importlib
from typing import Any

# JAX's plugins in the order in which JAX takes them, and the package that has
# the cuDNN of each.
_PLUGINS = {
  "jax_cuda13_plugin": "nvidia-cudnn-cu13",
  "jax_cuda12_plugin": "nvidia-cudnn-cu12",
}
# The cuDNN that attention needs on GPUs of a compute capability: jax 0.10.2,
# _src/cudnn/fused_attention_stablehlo.py.
_NEEDED = {"10.3": 91100}


def lacking(capability: str = "") -> str:
  """Return what is wrong with cuDNN, and the fix; "" if nothing is.

  Call it when JAX has its devices: the plugin has loaded cuDNN by then.

  Args:
    capability: compute capability of the GPU, as "9.0"; "" for any.
  """
  plugin = next(filter(None, map(_find_versions, _PLUGINS)), None)
  if plugin is None:
    return ""
  name, versions = plugin
  # XLA takes any patch version: stream_executor/cuda/cuda_dnn.cc.
  built = versions.cudnn_build_version() // 100 * 100
  needed = max(built, _NEEDED.get(capability, 0))
  fix = f"pip install -U {_PLUGINS[name]}"
  try:
    found = versions.cudnn_get_version()
  except RuntimeError:
    return f"{name} needs cuDNN {_shown(needed)} and finds none; {fix}"
  if found < needed:
    return (
      f"{name} needs cuDNN {_shown(needed)} or later, and {_shown(found)} is "
      f"here; {fix}"
    )
  return ""


def _find_versions(name: str) -> tuple[str, Any] | None:
  try:
    return name, importlib.import_module(f"{name}._versions")
  except ImportError:
    return None


def _shown(version: int) -> str:
  """91002 → 9.10.2, and 91000 → 9.10."""
  major, rest = divmod(version, 10_000)
  minor, patch = divmod(rest, 100)
  return f"{major}.{minor}" + (f".{patch}" if patch else "")
