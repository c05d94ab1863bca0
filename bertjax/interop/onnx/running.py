# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files of graphs, written and run by ONNX Runtime.

Rows are arrays of `bertjax.batch.ENCODER_FEATURES` with one example each.
"""

import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime

from bertjax.interop.onnx.encoder import MASK, TOKENS, TYPES
from bertjax.interop.onnx.heads import LOGITS

# A protobuf message ends here; the tensors of a larger model stand in a file
# beside it.
LARGEST = 2**31 - 2**20
EXTERNAL = "_data"  # is appended to the name of the model's file
# Errors and what is worse: warnings are about the runtime's own choices.
_SEVERITY = 3


def write_model(model: onnx.ModelProto, path: pathlib.Path) -> None:
  """Write and check a model; a large one with its tensors beside it."""
  size = sum(len(each.raw_data) for each in model.graph.initializer)
  if size < LARGEST:
    onnx.save_model(model, path)
  else:
    onnx.save_model(
      model,
      path,
      save_as_external_data=True,
      location=path.name + EXTERNAL,
    )
  onnx.checker.check_model(path)


def is_external(path: pathlib.Path) -> bool:
  """Return whether the tensors of a model stand in a file beside it."""
  return path.with_name(path.name + EXTERNAL).is_file()


def open_session(
  path: str | os.PathLike[str], *, threads: int = 0
) -> onnxruntime.InferenceSession:
  """Return a session on the CPU.

  Args:
    path: file of a model.
    threads: number of threads; 0 leaves it to the runtime, one for each core.
  """
  options = onnxruntime.SessionOptions()
  options.log_severity_level = _SEVERITY
  options.intra_op_num_threads = threads
  return onnxruntime.InferenceSession(
    os.fspath(path), options, providers=["CPUExecutionProvider"]
  )


def feed(
  features: Mapping[str, np.ndarray], names: Collection[str], rank: int = 2
) -> dict[str, np.ndarray]:
  """Return the inputs of a graph from rows of one example each.

  Args:
    features: the rows.
    names: names of the inputs.
    rank: axes of each input of the graph; one that chooses has 3, and rows are
      the choices of one example.
  """
  arrays = {
    TOKENS: features["tokens_BS"],
    MASK: features["packs_BS"] > 0,
    TYPES: features["types_BS"],
  }
  return {
    name: arrays[name].astype(np.int64)[(None,) * (rank - arrays[name].ndim)]
    for name in names
  }


def run(
  session: onnxruntime.InferenceSession, features: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """Return the outputs of a graph by name.

  Rows are the choices of one example, if the graph chooses.
  """
  names = [output.name for output in session.get_outputs()]
  inputs = session.get_inputs()
  rank = len(inputs[0].shape)
  fed = feed(features, [each.name for each in inputs], rank)
  arrays: Any = session.run(names, fed)
  if rank > features["tokens_BS"].ndim:  # it chooses
    arrays = [
      array.reshape((-1, 1) if name == LOGITS else -1)
      for name, array in zip(names, arrays, strict=True)
    ]
  return dict(zip(names, arrays, strict=True))
