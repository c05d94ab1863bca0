# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs can be written and run only with the extra `onnx`."""

import importlib.util

PACKAGES = ("onnx", "onnxruntime")
collect_ignore_glob = (
  [] if all(map(importlib.util.find_spec, PACKAGES)) else ["onnx*_test.py"]
)
