# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Self-attention in an ONNX graph.

No position attends to padding, nor out of its window where a layer has one.
"""

from typing import NamedTuple

import onnx

from bertjax.config import ModelConfig
from bertjax.config.model import has_windows
from bertjax.interop.onnx.graph import Graph
from bertjax.interop.onnx.layers import dense
from bertjax.interop.onnx.positions import (
  GLOBAL,
  LENGTH,
  LOCAL,
  Rotation,
  rotate,
  rotation,
)
from bertjax.model.ops.dot_product import OUTSIDE

# The node that makes the mask; what is added to scores by it; where the number
# of heads is in the shape that splits states.
MASK_NODE, OUTSIDE_NODE, HEADS_AXIS = "real", "outside_B11T", 2


class LayerInputs(NamedTuple):
  """What a layer reads beside the hidden states.

  Attributes:
    outside: name of what is added to scores, with axes (B, 1, 1 or S, T).
    rotation: the rotation of queries and keys, if there is one.
  """

  outside: str
  rotation: Rotation | None


def layer_inputs(
  graph: Graph, config: ModelConfig, mask: str
) -> list[LayerInputs]:
  """Return what each layer reads.

  Args:
    graph: the graph.
    config: shape of the encoder.
    mask: name of the mask of rows.
  """
  real = graph.add("Cast", MASK_NODE, mask, to=onnx.TensorProto.FLOAT)
  padding = graph.add("Sub", "padding", graph.constant(1, "float32"), real)
  padding = graph.add(
    "Unsqueeze", "padding_B11T", padding, graph.constant([1, 2], "int64")
  )
  outside = graph.add(
    "Mul", OUTSIDE_NODE, padding, graph.constant(OUTSIDE, "float32")
  )
  everywhere = LayerInputs(outside, rotation(graph, config, GLOBAL))
  if not has_windows(config):
    return [everywhere] * config.num_layers
  near = LayerInputs(
    _outside_of_windows(graph, config, outside), rotation(graph, config, LOCAL)
  )
  return [
    near if layer % config.global_every else everywhere
    for layer in range(config.num_layers)
  ]


def _outside_of_windows(graph: Graph, config: ModelConfig, outside: str) -> str:
  """Add what is added to scores of layers with a window."""
  zero, one = (graph.constant(value, "int64") for value in (0, 1))
  length = graph.add("Squeeze", "length_scalar", LENGTH)
  places = graph.add("Range", "places_S", zero, length, one)
  column, row = (
    graph.add(
      "Unsqueeze", f"places_{axes}", places, graph.constant([axis], "int64")
    )
    for axes, axis in (("S1", 1), ("1T", 0))
  )
  distance = graph.add("Sub", "distance_ST", column, row)
  distance = graph.add("Abs", "distance", distance)
  reach = graph.constant(config.attention_window // 2, "int64")
  far = graph.add("Greater", "is_far_ST", distance, reach)
  far = graph.add("Cast", "far_ST", far, to=onnx.TensorProto.FLOAT)
  beyond = graph.add(
    "Mul", "beyond_ST", far, graph.constant(OUTSIDE, "float32")
  )
  return graph.add("Add", "outside_B1ST", outside, beyond)


def attend(
  graph: Graph,
  config: ModelConfig,
  prefix: str,
  hidden: str,
  inputs: LayerInputs,
  *,
  source: str,
) -> str:
  """Add the attention of a layer; return the name of its joined heads.

  Args:
    graph: graph with the layer's parameters.
    config: shape of the encoder.
    prefix: what the names of its nodes begin with.
    hidden: name of the hidden states that attend.
    inputs: what the layer reads beside them.
    source: what the names of its parameters begin with.
  """
  query, key, value = (
    dense(graph, f"{prefix}.{name}", hidden, source=f"{source}.{name}")
    for name in ("query", "key", "value")
  )
  query = graph.add(
    "Mul",
    f"{prefix}.query.scaled",
    query,
    graph.constant(config.head_size**-0.5, "float32"),
  )
  query, key, value = (
    _by_head(graph, config, f"{prefix}.{name}", states, perm, turn)
    for name, states, perm, turn in (
      ("query", query, (0, 2, 1, 3), inputs.rotation),
      ("key", key, (0, 2, 3, 1), inputs.rotation),
      ("value", value, (0, 2, 1, 3), None),
    )
  )
  scores = graph.add("MatMul", f"{prefix}.scores", query, key)
  scores = graph.add("Add", f"{prefix}.scores.masked", scores, inputs.outside)
  weights = graph.add("Softmax", f"{prefix}.weights", scores, axis=-1)
  context = graph.add("MatMul", f"{prefix}.context", weights, value)
  context = graph.add(
    "Transpose", f"{prefix}.context.by_position", context, perm=(0, 2, 1, 3)
  )
  joined = graph.constant([0, 0, config.hidden_size], "int64")
  return graph.add("Reshape", f"{prefix}.context.joined", context, joined)


def _by_head(
  graph: Graph,
  config: ModelConfig,
  name: str,
  states: str,
  perm: tuple[int, ...],
  turn: Rotation | None,
) -> str:
  """Split states into heads, turn them, and order the axes by `perm`."""
  split = graph.constant([0, 0, config.num_heads, config.head_size], "int64")
  states = graph.add("Reshape", f"{name}.split", states, split)
  if turn is not None:
    states = rotate(graph, config, name, states, turn)
  return graph.add("Transpose", f"{name}.by_head", states, perm=perm)
