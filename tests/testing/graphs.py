# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX graphs beside the models that they are made of."""

from typing import Any

import numpy as np
import onnx
import onnxruntime

from bertjax.batch import ENCODER_FEATURES
from bertjax.interop.onnx.bert import make_model
from bertjax.interop.onnx.comparison import compute
from bertjax.interop.onnx.running import run
from tests.testing.examples import ragged


def open_session(model) -> Any:
  onnx.checker.check_model(model, full_check=True)
  return onnxruntime.InferenceSession(model.SerializeToString())


def check_graph(params, config, architecture, pooling, length=23):
  """Compare rows with padding, and single rows without it, of odd lengths."""
  session = open_session(make_model(params, config, architecture, pooling))
  batch = {name: ragged(5, length)[name] for name in ENCODER_FEATURES}
  ours = compute(params, config, architecture, pooling, batch)
  theirs = run(session, batch)
  assert theirs.keys() == ours.keys()
  is_real_BS = batch["packs_BS"] > 0
  for row, real in enumerate(is_real_BS.sum(axis=1)):
    one = {
      name: array[row : row + 1, :real] if name.endswith("_BS") else array
      for name, array in batch.items()
    }
    alone = run(session, one)
    for name, expected in ours.items():
      per_token = name == "last_hidden_state" or (
        expected.shape[:2] == is_real_BS.shape
      )
      where = (row, slice(int(real))) if per_token else (row,)
      for found in (theirs[name][where], alone[name][0]):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected[where], atol=1e-5, rtol=0)
  for expected in ours.values():
    assert np.std(expected) > 0.1  # weights that tell rows apart
