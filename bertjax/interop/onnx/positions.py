# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Positions in an ONNX graph: rows of tables, and rotations.

They count from 0 in every row. What is not learned is a table, too, of the
model's own numbers: a row beyond `ModelConfig.max_positions` is then an error
of the first sum or product, as it is in the model.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from bertjax.config import ModelConfig
from bertjax.config.model import has_windows
from bertjax.interop.onnx.graph import Graph
from bertjax.model.positions import rotation_at, sinusoids_at

# The node with the number of positions of a row, in an array of one.
LENGTH = "length"
_LEARNED = "bert.embeddings.position_embeddings.weight"
_SINUSOIDS = "bert.embeddings.sinusoids"
_ANGLES = "bert.encoder.rotation"
# Kinds of layers with a rotation of their own.
GLOBAL, LOCAL = "global", "local"


class Rotation(NamedTuple):
  """The names of factors of queries and keys, with the axes (S, 1, K)."""

  cos: str
  sin: str


def tables(config: ModelConfig) -> dict[str, np.ndarray]:
  """Return the float32 tables of positions that are not learned, by name."""
  positions_1P = jnp.arange(config.max_positions)[None]
  if config.positions == "sinusoidal":
    states_1PD = sinusoids_at(positions_1P, config.embedding_width)
    return {_SINUSOIDS: np.asarray(states_1PD[0])}
  if config.positions != "rotary":
    return {}
  bases = {GLOBAL: config.rotary_base}
  if has_windows(config):
    bases[LOCAL] = config.local_base
  found = {}
  for kind, base in bases.items():
    rotation = rotation_at(positions_1P, config.head_size, base)
    for name, values_1PK in (
      ("cos", rotation.cos_BSK),
      ("sin", rotation.sin_BSK),
    ):
      found[f"{_ANGLES}.{kind}.{name}"] = np.asarray(values_1PK)[0, :, None]
  return found


def embedded(graph: Graph, config: ModelConfig) -> str:
  """Return the name of what is added to words; "" if positions are rotary."""
  if config.positions == "rotary":
    return ""
  table = _LEARNED if config.positions == "learned" else _SINUSOIDS
  return _rows(graph, "positions", table, config.position_offset)


def rotation(graph: Graph, config: ModelConfig, kind: str) -> Rotation | None:
  """Return the rotation of layers of a kind; None if there is none."""
  if config.positions != "rotary":
    return None
  cos, sin = (
    _rows(graph, f"{kind}_{name}", f"{_ANGLES}.{kind}.{name}")
    for name in ("cos", "sin")
  )
  minus = graph.add("Neg", f"{kind}_minus_sin", sin)
  return Rotation(
    graph.add("Concat", f"{kind}_cos_S1K", cos, cos, axis=-1),
    graph.add("Concat", f"{kind}_sin_S1K", minus, sin, axis=-1),
  )


def rotate(
  graph: Graph, config: ModelConfig, name: str, states: str, turn: Rotation
) -> str:
  """Turn column i with column i + K/2 of each head, as the model does.

  Args:
    graph: the graph.
    config: shape of the encoder.
    name: name of the states, below which nodes are added.
    states: states with the axes (B, S, H, K).
    turn: their rotation.
  """
  bounds = (0, config.head_size // 2, config.head_size)
  axis = graph.constant([3], "int64")
  left, right = (
    graph.add(
      "Slice",
      f"{name}.{half}",
      states,
      graph.constant([start], "int64"),
      graph.constant([end], "int64"),
      axis,
    )
    for half, start, end in zip(
      ("left", "right"), bounds, bounds[1:], strict=False
    )
  )
  swapped = graph.add("Concat", f"{name}.swapped", right, left, axis=-1)
  own = graph.add("Mul", f"{name}.own", states, turn.cos)
  other = graph.add("Mul", f"{name}.other", swapped, turn.sin)
  return graph.add("Add", f"{name}.rotated", own, other)


def _rows(graph: Graph, name: str, table: str, offset: int = 0) -> str:
  """Add the rows of a table that the positions of a row have."""
  start, end = graph.constant([offset], "int64"), LENGTH
  if offset:
    end = graph.add("Add", f"{name}.end", LENGTH, start)
  axis = graph.constant([0], "int64")
  return graph.add("Slice", name, table, start, end, axis)
