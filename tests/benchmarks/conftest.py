# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Runtimes are compared only where they are installed."""

import importlib.util

PACKAGES = ("onnx", "onnxruntime", "torch", "transformers")
collect_ignore_glob = (
  []
  if all(map(importlib.util.find_spec, PACKAGES))
  else [
    "prediction*_test.py",
    "on_gpu_peer_test.py",
    "transformers_training_test.py",
    "inference_test.py",
  ]
)
