# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""BERT's encoder in an ONNX graph.

Nodes and tensors have the names of `interop/families/bert.py`. No position
attends to padding. The outputs of padding itself mean nothing, here and in the
model.
"""

from collections.abc import Mapping

import onnx

from bertjax.config import ModelConfig
from bertjax.interop.onnx.graph import Axes, Graph
from bertjax.model.ops.dot_product import OUTSIDE

TOKENS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
ROWS: Axes = ("batch_size", "sequence_length")
INPUTS: Mapping[str, Axes] = {TOKENS: ROWS, MASK: ROWS, TYPES: ROWS}
HIDDEN = "last_hidden_state"
# Where an encoder's nodes and its largest table are.
LAYERS, WORDS = "bert.encoder.", "bert.embeddings.word_embeddings.weight"
# The node that makes the mask; where the number of heads is in the shape that
# splits states.
MASK_NODE, HEADS_AXIS = "real", 2
# The attribute `approximate` of Gelu, by `ModelConfig.activation`.
_GELU = {"gelu": "none", "gelu_tanh": "tanh"}


def encode(graph: Graph, config: ModelConfig, rows: Mapping[str, str]) -> str:
  """Add the encoder; return the name of its hidden states.

  Args:
    graph: graph with the encoder's parameters.
    config: shape of the encoder.
    rows: {key of INPUTS: name of an array with an example in each row}.
  """
  hidden = _embed(graph, config, rows)
  real = graph.add("Cast", MASK_NODE, rows[MASK], to=onnx.TensorProto.FLOAT)
  padding = graph.add("Sub", "padding", graph.constant(1, "float32"), real)
  padding = graph.add(
    "Unsqueeze", "padding_B11T", padding, graph.constant([1, 2], "int64")
  )
  outside = graph.add(
    "Mul", "outside_B11T", padding, graph.constant(OUTSIDE, "float32")
  )
  for layer in range(config.num_layers):
    prefix = f"{LAYERS}layer.{layer}"
    context = _attend(
      graph, config, f"{prefix}.attention.self", hidden, outside
    )
    hidden = _add_and_normalize(
      graph, config, f"{prefix}.attention.output", context, hidden
    )
    inner = dense(graph, f"{prefix}.intermediate.dense", hidden)
    inner = graph.add(
      "Gelu",
      f"{prefix}.intermediate.gelu",
      inner,
      approximate=_GELU[config.activation],
    )
    hidden = _add_and_normalize(
      graph, config, f"{prefix}.output", inner, hidden
    )
  return graph.add("Identity", HIDDEN, hidden)


def _embed(graph: Graph, config: ModelConfig, rows: Mapping[str, str]) -> str:
  prefix = "bert.embeddings"
  words = graph.add("Gather", "words", WORDS, rows[TOKENS])
  # Positions count from 0 in every row. A row that is too long is an error of
  # the addition.
  length = graph.add("Shape", "length", rows[TOKENS], start=1, end=2)
  zero = graph.constant([0], "int64")
  positions = graph.add(
    "Slice",
    "positions",
    f"{prefix}.position_embeddings.weight",
    zero,
    length,
    zero,
  )
  type_ids = rows[TYPES]
  if config.type_vocab_size == 1:  # both texts of a pair have the only type
    type_ids = graph.add(
      "Mul", "only_type", type_ids, graph.constant(0, "int64")
    )
  types = graph.add(
    "Gather", "types", f"{prefix}.token_type_embeddings.weight", type_ids
  )
  total = graph.add("Add", "words_and_positions", words, positions)
  total = graph.add("Add", "words_positions_types", total, types)
  return _normalize(graph, config, prefix, total)


def _attend(
  graph: Graph, config: ModelConfig, prefix: str, hidden: str, outside: str
) -> str:
  query, key, value = (
    dense(graph, f"{prefix}.{name}", hidden)
    for name in ("query", "key", "value")
  )
  query = graph.add(
    "Mul",
    f"{prefix}.query.scaled",
    query,
    graph.constant(config.head_size**-0.5, "float32"),
  )
  split = graph.constant([0, 0, config.num_heads, config.head_size], "int64")
  query, key, value = (
    graph.add(
      "Transpose",
      f"{prefix}.{name}.by_head",
      graph.add("Reshape", f"{prefix}.{name}.split", states, split),
      perm=perm,
    )
    for name, states, perm in (
      ("query", query, (0, 2, 1, 3)),
      ("key", key, (0, 2, 3, 1)),
      ("value", value, (0, 2, 1, 3)),
    )
  )
  scores = graph.add("MatMul", f"{prefix}.scores", query, key)
  scores = graph.add("Add", f"{prefix}.scores.masked", scores, outside)
  weights = graph.add("Softmax", f"{prefix}.weights", scores, axis=-1)
  context = graph.add("MatMul", f"{prefix}.context", weights, value)
  context = graph.add(
    "Transpose", f"{prefix}.context.by_position", context, perm=(0, 2, 1, 3)
  )
  joined = graph.constant([0, 0, config.hidden_size], "int64")
  return graph.add("Reshape", f"{prefix}.context.joined", context, joined)


def _add_and_normalize(
  graph: Graph, config: ModelConfig, prefix: str, update: str, hidden: str
) -> str:
  update = dense(graph, f"{prefix}.dense", update)
  # ONNX Runtime joins an Add and the norm after it into an operator that takes
  # 2.6 times as long on CPUs as both, for rows of 16 tokens and a width of 256.
  # It leaves a Sum alone.
  total = graph.add("Sum", f"{prefix}.residual", update, hidden)
  return _normalize(graph, config, prefix, total)


def _normalize(
  graph: Graph, config: ModelConfig, prefix: str, states: str
) -> str:
  name = f"{prefix}.LayerNorm"
  return graph.add(
    "LayerNormalization",
    name,
    states,
    f"{name}.weight",
    f"{name}.bias",
    axis=-1,
    epsilon=config.layer_norm_epsilon,
  )


def dense(graph: Graph, name: str, states: str, output: str = "") -> str:
  """Add a dense layer; return the name of its output.

  Args:
    graph: graph with the layer's parameters.
    name: name of the layer.
    states: name of the input.
    output: name of the output, if it is not that of the layer.
  """
  product = graph.add("MatMul", f"{name}.product", states, f"{name}.weight")
  return graph.add("Add", output or name, product, f"{name}.bias")
