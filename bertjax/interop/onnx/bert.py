# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A BERT model as an ONNX graph."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from flax.core import meta

from bertjax.config import ModelConfig
from bertjax.interop.families.bert import BERT
from bertjax.interop.onnx.encoder import INPUTS, ROWS, encode
from bertjax.interop.onnx.graph import Graph
from bertjax.interop.onnx.heads import SCORER, find_head, parts_of
from bertjax.interop.table import pairs
from bertjax.model.parameters import WINDOW_SCORER, by_name


def make_model(
  params: Mapping[str, Any],
  config: ModelConfig,
  architecture: str,
  pooling: str = "",
) -> onnx.ModelProto:
  """Return the graph of a model, for any number of rows and any length.

  Its inputs are INPUTS, int64; those of multiple choice have the axis of the
  choices in the middle. Its outputs are float32.

  Args:
    params: parameters; parts that the head does not read are left out.
    config: shape of the encoder.
    architecture: class of transformers with the same head.
    pooling: how an example becomes one vector; "" where nothing is pooled. The
      two are a key of HEADS.

  Raises:
    ValueError: no such graph is known, a parameter is missing, or the encoder
      is not a BERT.
  """
  BERT.check(config)
  head = find_head(architecture, pooling)
  parts = parts_of(architecture, pooling, params)
  graph = Graph(_tensors(params, config, parts))
  rows = {name: name for name in INPUTS}
  if head.axes != ROWS:
    rows = {
      name: graph.add("Flatten", f"{name}.rows", name, axis=2)
      for name in INPUTS
    }
  hidden = encode(graph, config, rows)
  outputs = head.build(graph, config, hidden)
  return graph.finish(dict.fromkeys(INPUTS, head.axes), outputs)


def _tensors(
  params: Mapping[str, Any], config: ModelConfig, parts: Collection[str]
) -> dict[str, np.ndarray]:
  """Return the float32 tensors of `parts` by the names of transformers.

  A matrix has the axes (input, output), as MatMul reads it.
  """
  missing = [part for part in parts if part not in params]
  if missing:
    raise ValueError(f"the parameters lack {', '.join(missing)}")
  ours = by_name(meta.unbox({part: params[part] for part in parts}))
  tensors = {}
  for entry, index, name in pairs(BERT.table, config, parts):
    array = np.asarray(ours[entry.ours], np.float32)[index]
    if entry.row.inputs:
      array = array.reshape(np.prod(array.shape[: entry.row.inputs]), -1)
    elif name.endswith(".bias"):
      array = array.reshape(-1)
    tensors[name] = array
  if WINDOW_SCORER in parts:
    tensors[SCORER] = np.asarray(ours[f"{WINDOW_SCORER}/dense/kernel"])
  return tensors
