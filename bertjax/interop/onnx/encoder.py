# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder in an ONNX graph, with any choices of `ModelConfig`.

Nodes and tensors have the names of `names.py`. The outputs of padding mean
nothing, here and in the model.
"""

from collections.abc import Callable, Mapping

from bertjax.config import ModelConfig
from bertjax.interop.onnx.attention import LayerInputs, attend, layer_inputs
from bertjax.interop.onnx.graph import Axes, Graph
from bertjax.interop.onnx.layers import activate, dense, normalize
from bertjax.interop.onnx.positions import LENGTH, embedded

TOKENS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
ROWS: Axes = ("batch_size", "sequence_length")
HIDDEN = "last_hidden_state"
# Where an encoder's nodes and its largest table are.
LAYERS, WORDS = "bert.encoder.", "bert.embeddings.word_embeddings.weight"
_EMBEDDINGS = "bert.embeddings"
_TYPES = f"{_EMBEDDINGS}.token_type_embeddings.weight"


def inputs_of(config: ModelConfig) -> tuple[str, ...]:
  """Return the names of the inputs of a graph, as transformers has them."""
  has_types = config.type_vocab_size > 1
  return (TOKENS, MASK, TYPES) if has_types else (TOKENS, MASK)


def encode(graph: Graph, config: ModelConfig, rows: Mapping[str, str]) -> str:
  """Add the encoder; return the name of its hidden states.

  Args:
    graph: graph with the encoder's parameters.
    config: shape of the encoder.
    rows: {input: name of an array with an example in each row}.
  """
  hidden = _embed(graph, config, rows)
  inputs = layer_inputs(graph, config, rows[MASK])
  for layer, own in enumerate(inputs):
    hidden = _add_layer(graph, config, layer, hidden, own)
  if config.norm_position == "pre":
    hidden = normalize(graph, config, f"{LAYERS}LayerNorm", hidden)
  return graph.add("Identity", HIDDEN, hidden)


def _embed(graph: Graph, config: ModelConfig, rows: Mapping[str, str]) -> str:
  total = graph.add("Gather", "words", WORDS, rows[TOKENS])
  graph.add("Shape", LENGTH, rows[TOKENS], start=1, end=2)
  positions, types = embedded(graph, config), ""
  if config.type_vocab_size:
    # Both texts of a pair have the only type.
    ids = rows.get(TYPES) or graph.constant(0, "int64")
    types = graph.add("Gather", "types", _TYPES, ids)
  if positions:
    total = graph.add("Add", "words_and_positions", total, positions)
  if types:
    total = graph.add("Add", "words_positions_types", total, types)
  if config.embedding_norm:
    total = normalize(graph, config, f"{_EMBEDDINGS}.LayerNorm", total)
  if config.embedding_size:
    total = dense(graph, f"{_EMBEDDINGS}.projection", total)
  return total


def _add_layer(
  graph: Graph,
  config: ModelConfig,
  layer: int,
  hidden: str,
  inputs: LayerInputs,
) -> str:
  """Add a layer; return the name of the hidden states behind it."""
  # Neighbors share the weights of a group.
  group = layer * config.num_stacked // config.num_layers
  here, source = (f"{LAYERS}layer.{number}" for number in (layer, group))

  def update(states: str) -> str:
    name = "attention.self"
    states = attend(
      graph,
      config,
      f"{here}.{name}",
      states,
      inputs,
      source=f"{source}.{name}",
    )
    return _dense(graph, here, source, "attention.output.dense", states)

  def feed_forward(states: str) -> str:
    inner = _dense(graph, here, source, "intermediate.dense", states)
    name = f"{here}.intermediate"
    if config.feed_forward == "gated":
      gate = _dense(graph, here, source, "intermediate.gate", states)
      gate = activate(graph, config, name, gate)
      inner = graph.add("Mul", f"{name}.gated", gate, inner)
    else:
      inner = activate(graph, config, name, inner)
    return _dense(graph, here, source, "output.dense", inner)

  has_norm = config.first_attention_norm or layer > 0
  for part, make, is_normal in (
    ("attention.output", update, has_norm),
    ("output", feed_forward, True),
  ):
    norm = f"{source}.{part}.LayerNorm" if is_normal else ""
    hidden = _branch(graph, config, f"{here}.{part}", hidden, make, norm)
  return hidden


def _dense(graph: Graph, here: str, source: str, name: str, states: str) -> str:
  return dense(graph, f"{here}.{name}", states, source=f"{source}.{name}")


def _branch(
  graph: Graph,
  config: ModelConfig,
  prefix: str,
  hidden: str,
  update: Callable[[str], str],
  norm: str,
) -> str:
  """Add what `update` makes of the states, with a norm after or before.

  Args:
    graph: graph with the parameters.
    config: shape of the encoder.
    prefix: what the names of its nodes begin with.
    hidden: name of the hidden states.
    update: name of states → name of what is added to them.
    norm: name of the parameters of the norm; "" if there is no norm.
  """

  def normal(states: str) -> str:
    if not norm:
      return states
    name = f"{prefix}.LayerNorm"
    return normalize(graph, config, name, states, source=norm)

  is_pre = config.norm_position == "pre"
  change = update(normal(hidden) if is_pre else hidden)
  # ONNX Runtime joins an Add and the norm after it into an operator that takes
  # 2.6 times as long on CPUs as both, for rows of 16 tokens and a width of 256.
  # It leaves a Sum alone.
  total = graph.add("Sum", f"{prefix}.residual", change, hidden)
  return total if is_pre else normal(total)
