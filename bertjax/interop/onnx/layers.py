# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Small layers in an ONNX graph: products, norms and activations.

Layers that share their weights have nodes of their own: `source` then names
the layer whose parameters are read.
"""

from bertjax.config import ModelConfig, choices
from bertjax.interop.onnx.graph import Graph

# By `ModelConfig.activation`: the operator, and its attributes.
_ACTIVATIONS = {
  "gelu": ("Gelu", {"approximate": "none"}),
  "gelu_tanh": ("Gelu", {"approximate": "tanh"}),
  "silu": ("Sigmoid", {}),
  "relu": ("Relu", {}),
}
assert set(_ACTIVATIONS) == set(choices(ModelConfig, "activation"))


def dense(
  graph: Graph, name: str, states: str, output: str = "", *, source: str = ""
) -> str:
  """Add a product, and its bias if there is one; return the output's name.

  Args:
    graph: graph with the layer's parameters.
    name: name of the layer.
    states: name of the input.
    output: name of the output of a layer with a bias, if it is not that of the
      layer.
    source: name of the layer whose parameters are read, if it is another one.
  """
  source = source or name
  product = graph.add("MatMul", f"{name}.product", states, f"{source}.weight")
  if not graph.has(f"{source}.bias"):
    return product
  return graph.add("Add", output or name, product, f"{source}.bias")


def normalize(
  graph: Graph,
  config: ModelConfig,
  name: str,
  states: str,
  *,
  source: str = "",
) -> str:
  """Add the normalization that `config.norm` names; return its name."""
  source, epsilon = source or name, config.layer_norm_epsilon
  if config.norm != "rms":
    bias = (f"{source}.bias",) if config.norm == "layer" else ()
    return graph.add(
      "LayerNormalization",
      name,
      states,
      f"{source}.weight",
      *bias,
      axis=-1,
      epsilon=epsilon,
    )
  # The operator RMSNormalization is newer than what graphs are written for.
  square = graph.add("Mul", f"{name}.square", states, states)
  last = graph.constant([-1], "int64")
  mean = graph.add("ReduceMean", f"{name}.mean", square, last, keepdims=1)
  shifted = graph.add(
    "Add", f"{name}.shifted", mean, graph.constant(epsilon, "float32")
  )
  root = graph.add("Sqrt", f"{name}.root", shifted)
  normal = graph.add("Div", f"{name}.normal", states, root)
  return graph.add("Mul", name, normal, f"{source}.weight")


def activate(graph: Graph, config: ModelConfig, name: str, states: str) -> str:
  """Add the activation below `name`; return the name of its output."""
  operator, attributes = _ACTIVATIONS[config.activation]
  output = graph.add(
    operator, f"{name}.{operator.lower()}", states, **attributes
  )
  if config.activation == "silu":
    return graph.add("Mul", f"{name}.silu", states, output)
  return output
