# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What stands on an encoder in an ONNX graph.

Outputs have the names that transformers and optimum give them.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from bertjax.config import ModelConfig
from bertjax.interop.architectures import (
  CLASSIFICATION,
  ENCODER,
  MULTIPLE_CHOICE,
  QUESTION_ANSWERING,
  TOKEN_CLASSIFICATION,
)
from bertjax.interop.onnx.attention import MASK_NODE
from bertjax.interop.onnx.encoder import ROWS, TOKENS
from bertjax.interop.onnx.graph import Axes, Graph
from bertjax.interop.onnx.layers import activate, dense, normalize
from bertjax.model import parameters
from bertjax.model.heads import has_pooler
from bertjax.model.parameters import WINDOW_SCORER

POOLED, LOGITS = "pooler_output", "logits"
# The score of a window, whose softmax over the windows of a text weighs them.
ATTENTION = "attention"
START, END = "start_logits", "end_logits"
# The parameter that gives it, which no class of transformers has.
SCORER = "window_scorer.weight"
# Classes whose windows may have that score.
_SCORING = (CLASSIFICATION, MULTIPLE_CHOICE)
_CHOICES: Axes = ("batch_size", "num_choices", "sequence_length")

Outputs = Mapping[str, Axes]


class Head(NamedTuple):
  """What stands on the encoder.

  Attributes:
    parts: keys at the top of the tree of parameters that are read, but for a
      pooler that only some encoders have (`has_pooler`).
    build: (graph, config, name of the hidden states) → outputs of the graph.
    axes: axes of each input; the rows of all choices are encoded alike.
  """

  parts: tuple[str, ...]
  build: Callable[[Graph, ModelConfig, str], Outputs]
  axes: Axes = ROWS


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


def parts_of(
  architecture: str,
  pooling: str,
  config: ModelConfig,
  params: Collection[str],
) -> tuple[str, ...]:
  """Return the parts of `params` that a graph reads.

  Raises:
    ValueError: no such graph is known.
  """
  parts = {*find_head(architecture, pooling).parts}
  if architecture != ENCODER and has_pooler(config, pooling):
    parts.add(parameters.POOLER)
  if architecture in _SCORING and WINDOW_SCORER in params:
    parts.add(WINDOW_SCORER)
  return tuple(part for part in parameters.PARTS if part in parts)


def _pool(graph: Graph, config: ModelConfig, hidden: str) -> str:
  first = graph.add(
    "Gather", "first_BD", hidden, graph.constant(0, "int64"), axis=1
  )
  return _transform(graph, config, first)


def _transform(graph: Graph, config: ModelConfig, states: str) -> str:
  """Add what `config.sequence_head` makes of states; the pooler's output."""
  states = dense(graph, "bert.pooler.dense", states)
  if config.sequence_head == "pooler":
    return graph.add("Tanh", POOLED, states)
  if config.sequence_head == "relu":
    return graph.add("Relu", POOLED, states)
  states = activate(graph, config, "bert.pooler", states)
  source = "bert.pooler.LayerNorm"
  return normalize(graph, config, POOLED, states, source=source)


def _average(graph: Graph, config: ModelConfig, hidden: str) -> str:
  """Return the name of the mean over the real positions, or of its pooler."""
  count = graph.add(
    "ReduceSum", "count_B1", MASK_NODE, graph.constant([1], "int64"), keepdims=1
  )
  # A row of padding alone has no real position.
  count = graph.add("Max", "count", count, graph.constant(1, "float32"))
  share = graph.add("Div", "share_BS", MASK_NODE, count)
  middle = graph.constant([1], "int64")
  share = graph.add("Unsqueeze", "share_B1S", share, middle)
  mean = graph.add("MatMul", "mean_B1D", share, hidden)
  mean = graph.add("Squeeze", "mean_BD", mean, middle)
  return _transform(graph, config, mean) if has_pooler(config, "mean") else mean


def _by_token(graph: Graph, config: ModelConfig, hidden: str) -> str:
  """Return the name of the states that a head of tokens or spans reads."""
  return _transform(graph, config, hidden) if has_pooler(config, "") else hidden


def _encoder(graph: Graph, config: ModelConfig, hidden: str) -> Outputs:
  del graph
  return {hidden: (*ROWS, config.hidden_size)}


def _encoder_and_pooler(
  graph: Graph, config: ModelConfig, hidden: str
) -> Outputs:
  batch, _ = ROWS
  return {
    **_encoder(graph, config, hidden),
    _pool(graph, config, hidden): (batch, config.hidden_size),
  }


def _classifier(
  pool: Callable[[Graph, ModelConfig, str], str],
) -> Callable[[Graph, ModelConfig, str], Outputs]:
  def build(graph: Graph, config: ModelConfig, hidden: str) -> Outputs:
    batch, _ = ROWS
    pooled = pool(graph, config, hidden)
    logits = dense(graph, "classifier", pooled, LOGITS)
    outputs: dict[str, Axes] = {logits: (batch, graph.width("classifier.bias"))}
    if graph.has(SCORER):
      score = graph.add("MatMul", "attention_B1", pooled, SCORER)
      last = graph.constant([1], "int64")
      outputs[graph.add("Squeeze", ATTENTION, score, last)] = (batch,)
    return outputs

  return build


def _token_classifier(
  graph: Graph, config: ModelConfig, hidden: str
) -> Outputs:
  states = _by_token(graph, config, hidden)
  logits = dense(graph, "classifier", states, LOGITS)
  return {logits: (*ROWS, graph.width("classifier.bias"))}


def _spans(graph: Graph, config: ModelConfig, hidden: str) -> Outputs:
  logits = dense(graph, "qa_outputs", _by_token(graph, config, hidden))
  for column, name in enumerate((START, END)):
    index = graph.constant(column, "int64")
    graph.add("Gather", name, logits, index, axis=2)
  return {START: ROWS, END: ROWS}


def _choice(
  pool: Callable[[Graph, ModelConfig, str], str],
) -> Callable[[Graph, ModelConfig, str], Outputs]:
  def build(graph: Graph, config: ModelConfig, hidden: str) -> Outputs:
    pooled = pool(graph, config, hidden)
    named = {LOGITS: dense(graph, "classifier", pooled)}
    if graph.has(SCORER):
      named[ATTENTION] = graph.add("MatMul", "attention_B1", pooled, SCORER)
    shape = graph.add("Shape", "examples_and_choices", TOKENS, start=0, end=2)
    return {
      graph.add("Reshape", name, values, shape): _CHOICES[:2]
      for name, values in named.items()
    }

  return build


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
  (MULTIPLE_CHOICE, "cls"): Head(
    (parameters.ENCODER, parameters.POOLER, parameters.CLASSIFIER),
    _choice(_pool),
    _CHOICES,
  ),
  (MULTIPLE_CHOICE, "mean"): Head(_ON_ENCODER, _choice(_average), _CHOICES),
  (TOKEN_CLASSIFICATION, ""): Head(_ON_ENCODER, _token_classifier),
  (QUESTION_ANSWERING, ""): Head(
    (parameters.ENCODER, parameters.SPAN_HEAD), _spans
  ),
}
