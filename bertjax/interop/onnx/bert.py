# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""BERT's encoder and heads as an ONNX graph.

Inputs and outputs have the names that transformers and optimum give them, and
tensors the names of `interop/bert.py`; a matrix has the axes (input, output),
as MatMul reads it. No position attends to padding. The outputs of padding
itself mean nothing, here and in the model.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
from flax.core import meta

from bertjax.config import ModelConfig
from bertjax.interop.architectures import (
  CLASSIFICATION,
  ENCODER,
  QUESTION_ANSWERING,
  TOKEN_CLASSIFICATION,
)
from bertjax.interop.bert import pairs
from bertjax.interop.onnx.graph import Axes, Graph
from bertjax.model import parameters
from bertjax.model.ops.dot_product import OUTSIDE
from bertjax.model.parameters import by_name

TOKENS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
_ROWS: Axes = ("batch_size", "sequence_length")
INPUTS: Mapping[str, Axes] = {TOKENS: _ROWS, MASK: _ROWS, TYPES: _ROWS}
HIDDEN, POOLED, LOGITS = "last_hidden_state", "pooler_output", "logits"
START, END = "start_logits", "end_logits"
# The attribute `approximate` of Gelu, by `ModelConfig.activation`.
_GELU = {"gelu": "none", "gelu_tanh": "tanh"}

Outputs = Mapping[str, Axes]


class Head(NamedTuple):
  """What stands on the encoder.

  Attributes:
    parts: keys at the top of the tree of parameters that are read.
    build: (graph, config, name of the hidden states) → outputs of the graph.
  """

  parts: tuple[str, ...]
  build: Callable[[Graph, ModelConfig, str], Outputs]


def make_model(
  params: Mapping[str, Any],
  config: ModelConfig,
  architecture: str,
  pooling: str = "",
) -> onnx.ModelProto:
  """Return the graph of a model, for any number of rows and any length.

  Its inputs are INPUTS, int64. Its outputs are float32.

  Args:
    params: parameters; parts that the head does not read are left out.
    config: shape of the encoder.
    architecture: class of transformers with the same head.
    pooling: how an example becomes one vector; "" where nothing is pooled. The
      two are a key of HEADS.

  Raises:
    ValueError: no such graph is known, or a parameter is missing.
  """
  head = find_head(architecture, pooling)
  graph = Graph(_tensors(params, config, head.parts))
  hidden = _encode(graph, config)
  return graph.finish(INPUTS, head.build(graph, config, hidden))


def find_head(architecture: str, pooling: str) -> Head:
  """Return what HEADS has.

  Raises:
    ValueError: no such graph is known.
  """
  if (architecture, pooling) not in HEADS:
    known = ", ".join(f"{name} {pooled}".strip() for name, pooled in HEADS)
    raise ValueError(
      f"{architecture} with pooling={pooling!r} has no ONNX graph; give one of "
      f"{known}"
    )
  return HEADS[architecture, pooling]


def _tensors(
  params: Mapping[str, Any], config: ModelConfig, parts: Collection[str]
) -> dict[str, np.ndarray]:
  """Return the float32 tensors of `parts` by their names there."""
  missing = [part for part in parts if part not in params]
  if missing:
    raise ValueError(f"the parameters lack {', '.join(missing)}")
  ours = by_name(meta.unbox({part: params[part] for part in parts}))
  tensors = {}
  for entry, index, name in pairs(config, parts):
    array = np.asarray(ours[entry.ours], np.float32)[index]
    if entry.row.inputs:
      array = array.reshape(np.prod(array.shape[: entry.row.inputs]), -1)
    elif name.endswith(".bias"):
      array = array.reshape(-1)
    tensors[name] = array
  return tensors


def _encode(graph: Graph, config: ModelConfig) -> str:
  hidden = _embed(graph, config)
  real = graph.add("Cast", "real", MASK, to=onnx.TensorProto.FLOAT)
  padding = graph.add("Sub", "padding", graph.constant(1, "float32"), real)
  padding = graph.add(
    "Unsqueeze", "padding_B11T", padding, graph.constant([1, 2], "int64")
  )
  outside = graph.add(
    "Mul", "outside_B11T", padding, graph.constant(OUTSIDE, "float32")
  )
  for layer in range(config.num_layers):
    prefix = f"bert.encoder.layer.{layer}"
    context = _attend(
      graph, config, f"{prefix}.attention.self", hidden, outside
    )
    hidden = _add_and_normalize(
      graph, config, f"{prefix}.attention.output", context, hidden
    )
    inner = _dense(graph, f"{prefix}.intermediate.dense", hidden)
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


def _embed(graph: Graph, config: ModelConfig) -> str:
  prefix = "bert.embeddings"
  words = graph.add(
    "Gather", "words", f"{prefix}.word_embeddings.weight", TOKENS
  )
  # Positions count from 0 in every row. A row that is too long is an error of
  # the addition.
  length = graph.add("Shape", "length", TOKENS, start=1, end=2)
  zero = graph.constant([0], "int64")
  positions = graph.add(
    "Slice",
    "positions",
    f"{prefix}.position_embeddings.weight",
    zero,
    length,
    zero,
  )
  types = graph.add(
    "Gather", "types", f"{prefix}.token_type_embeddings.weight", TYPES
  )
  total = graph.add("Add", "words_and_positions", words, positions)
  total = graph.add("Add", "words_positions_types", total, types)
  return _normalize(graph, config, prefix, total)


def _attend(
  graph: Graph, config: ModelConfig, prefix: str, hidden: str, outside: str
) -> str:
  query, key, value = (
    _dense(graph, f"{prefix}.{name}", hidden)
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
  update = _dense(graph, f"{prefix}.dense", update)
  total = graph.add("Add", f"{prefix}.residual", update, hidden)
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


def _dense(graph: Graph, name: str, states: str, output: str = "") -> str:
  product = graph.add("MatMul", f"{name}.product", states, f"{name}.weight")
  return graph.add("Add", output or name, product, f"{name}.bias")


def _first(graph: Graph, hidden: str) -> str:
  return graph.add(
    "Gather", "first_BD", hidden, graph.constant(0, "int64"), axis=1
  )


def _pool(graph: Graph, hidden: str) -> str:
  dense = _dense(graph, "bert.pooler.dense", _first(graph, hidden))
  return graph.add("Tanh", POOLED, dense)


def _average(graph: Graph, hidden: str) -> str:
  """Return the name of the mean over the real positions."""
  count = graph.add(
    "ReduceSum", "count_B1", "real", graph.constant([1], "int64"), keepdims=1
  )
  # A row of padding alone has no real position.
  count = graph.add("Max", "count", count, graph.constant(1, "float32"))
  share = graph.add("Div", "share_BS", "real", count)
  middle = graph.constant([1], "int64")
  share = graph.add("Unsqueeze", "share_B1S", share, middle)
  mean = graph.add("MatMul", "mean_B1D", share, hidden)
  return graph.add("Squeeze", "mean_BD", mean, middle)


def _encoder(graph: Graph, config: ModelConfig, hidden: str) -> Outputs:
  del graph
  return {hidden: (*_ROWS, config.hidden_size)}


def _encoder_and_pooler(
  graph: Graph, config: ModelConfig, hidden: str
) -> Outputs:
  batch, _ = _ROWS
  return {
    **_encoder(graph, config, hidden),
    _pool(graph, hidden): (batch, config.hidden_size),
  }


def _classifier(
  pool: Callable[[Graph, str], str],
) -> Callable[[Graph, ModelConfig, str], Outputs]:
  def build(graph: Graph, config: ModelConfig, hidden: str) -> Outputs:
    del config
    batch, _ = _ROWS
    logits = _dense(graph, "classifier", pool(graph, hidden), LOGITS)
    return {logits: (batch, graph.width("classifier.bias"))}

  return build


def _token_classifier(
  graph: Graph, config: ModelConfig, hidden: str
) -> Outputs:
  del config
  logits = _dense(graph, "classifier", hidden, LOGITS)
  return {logits: (*_ROWS, graph.width("classifier.bias"))}


def _spans(graph: Graph, config: ModelConfig, hidden: str) -> Outputs:
  del config
  logits = _dense(graph, "qa_outputs", hidden)
  for column, name in enumerate((START, END)):
    index = graph.constant(column, "int64")
    graph.add("Gather", name, logits, index, axis=2)
  return {START: _ROWS, END: _ROWS}


_ON_ENCODER = (parameters.ENCODER, parameters.CLASSIFIER)
# By the class of transformers with the same head, and the pooling.
HEADS: Mapping[tuple[str, str], Head] = {
  (ENCODER, ""): Head((parameters.ENCODER,), _encoder),
  (ENCODER, "cls"): Head(
    (parameters.ENCODER, parameters.POOLER), _encoder_and_pooler
  ),
  (CLASSIFICATION, "cls"): Head(
    (parameters.ENCODER, parameters.POOLER, parameters.CLASSIFIER),
    _classifier(_pool),
  ),
  (CLASSIFICATION, "mean"): Head(_ON_ENCODER, _classifier(_average)),
  (TOKEN_CLASSIFICATION, ""): Head(_ON_ENCODER, _token_classifier),
  (QUESTION_ANSWERING, ""): Head(
    (parameters.ENCODER, parameters.SPAN_HEAD), _spans
  ),
}
