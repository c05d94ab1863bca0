# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A model as an ONNX graph, of any choices of `ModelConfig`."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from flax.core import meta

from bertjax.config import ModelConfig
from bertjax.interop.onnx import positions
from bertjax.interop.onnx.encoder import ROWS, encode, inputs_of
from bertjax.interop.onnx.graph import Graph
from bertjax.interop.onnx.heads import SCORER, find_head, parts_of
from bertjax.interop.onnx.names import TABLE
from bertjax.interop.table import pairs
from bertjax.model.parameters import WINDOW_SCORER, by_name


def make_model(
  params: Mapping[str, Any],
  config: ModelConfig,
  architecture: str,
  pooling: str = "",
) -> onnx.ModelProto:
  """Return the graph of a model, for any number of rows and any length.

  Its inputs are `inputs_of(config)`, int64; those of multiple choice have the
  axis of the choices in the middle. Its outputs are float32.

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
  parts = parts_of(architecture, pooling, config, params)
  tensors = _tensors(params, config, parts) | positions.tables(config)
  graph, inputs = Graph(tensors), inputs_of(config)
  rows = {name: name for name in inputs}
  if head.axes != ROWS:
    rows = {
      name: graph.add("Flatten", f"{name}.rows", name, axis=2)
      for name in inputs
    }
  hidden = encode(graph, config, rows)
  outputs = head.build(graph, config, hidden)
  return graph.finish(dict.fromkeys(inputs, head.axes), outputs)


def _tensors(
  params: Mapping[str, Any], config: ModelConfig, parts: Collection[str]
) -> dict[str, np.ndarray]:
  """Return the float32 tensors of `parts` by their names in graphs.

  A matrix has the axes (input, output), as MatMul reads it.
  """
  missing = [part for part in parts if part not in params]
  if missing:
    raise ValueError(f"the parameters lack {', '.join(missing)}")
  ours = by_name(meta.unbox({part: params[part] for part in parts}))
  tensors = {}
  for entry, index, name in pairs(TABLE, config, parts):
    if entry.ours not in ours:
      continue
    array = np.asarray(ours[entry.ours], np.float32)[index]
    if entry.row.inputs:
      array = array.reshape(np.prod(array.shape[: entry.row.inputs]), -1)
    elif name.endswith(".bias"):
      array = array.reshape(-1)
    tensors[name] = array
  if WINDOW_SCORER in parts:
    tensors[SCORER] = np.asarray(ours[f"{WINDOW_SCORER}/dense/kernel"])
  return tensors
