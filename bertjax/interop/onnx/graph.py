# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph under construction."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

import bertjax

# 20 is the first with Gelu in both forms, and every ONNX Runtime since 1.17
# runs it. Its file format came with it.
OPSET = 20
IR_VERSION = 9

Axes = Sequence[str | int]


class Graph:
  """Nodes and constants, in the order in which they are computed.

  A node's output has the name of the node. Constants of one value are stored
  once.
  """

  def __init__(self, parameters: Mapping[str, np.ndarray]) -> None:
    """Start a graph whose nodes may read `parameters` by name."""
    self._parameters = parameters
    self._nodes: list[onnx.NodeProto] = []
    self._constants: dict[str, np.ndarray] = {}

  def add(
    self, operator: str, name: str, *inputs: str, **attributes: Any
  ) -> str:
    """Add a node; return the name of its output.

    Args:
      operator: operator of ONNX.
      name: name of the node and of its output.
      inputs: names of other outputs, parameters or inputs of the graph.
      attributes: attributes of the operator.
    """
    for each in inputs:
      if each in self._parameters:
        self._constants[each] = self._parameters[each]
    self._nodes.append(
      helper.make_node(operator, list(inputs), [name], name, **attributes)
    )
    return name

  def constant(self, value: Any, dtype: str) -> str:
    """Return the name of a constant."""
    array = np.asarray(value, dtype)
    name = f"{dtype}:{array.tolist()}"
    self._constants[name] = array
    return name

  def has(self, name: str) -> bool:
    """Return whether there is a parameter of this name."""
    return name in self._parameters

  def width(self, name: str) -> int:
    """Return the size of the last axis of a parameter."""
    return self._parameters[name].shape[-1]

  def finish(
    self, inputs: Mapping[str, Axes], outputs: Mapping[str, Axes]
  ) -> onnx.ModelProto:
    """Return the model.

    Args:
      inputs: {name: axes} of int64 inputs; an axis is a size or a name.
      outputs: {name: axes} of float32 outputs, which are names of nodes.
    """
    kinds = onnx.TensorProto
    graph = helper.make_graph(
      self._nodes,
      "bert",
      [_info(name, kinds.INT64, axes) for name, axes in inputs.items()],
      [_info(name, kinds.FLOAT, axes) for name, axes in outputs.items()],
      [
        numpy_helper.from_array(np.asarray(array, order="C"), name)
        for name, array in self._constants.items()
      ],
    )
    return helper.make_model(
      graph,
      opset_imports=[helper.make_opsetid("", OPSET)],
      ir_version=IR_VERSION,
      producer_name="bertjax",
      producer_version=bertjax.__version__,
    )


def _info(name: str, kind: int, axes: Axes) -> onnx.ValueInfoProto:
  return helper.make_tensor_value_info(name, kind, list(axes))
