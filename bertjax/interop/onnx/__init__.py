# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Models as ONNX graphs, written from their parameters and run elsewhere.

The graph is written here, node by node, over the package `onnx`: exporters of
JAX programs bring torch or older versions of what bertjax needs, and a graph of
the usual operators is what ONNX Runtime fuses and quantizes.
"""
