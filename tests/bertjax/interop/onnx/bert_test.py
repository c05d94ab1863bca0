# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs give in ONNX Runtime what the model gives."""

import dataclasses

import numpy as np
import onnx
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from bertjax.interop.onnx.bert import make_model
from bertjax.interop.onnx.comparison import compute
from bertjax.interop.onnx.heads import HEADS
from tests.testing.examples import SMALL, ragged
from tests.testing.graphs import check_graph, open_session
from tests.testing.huggingface_models import make_params

ENCODER, SEQUENCES = "BertModel", "BertForSequenceClassification"
CHOICE = "BertForMultipleChoice"
TANH = dataclasses.replace(SMALL, activation="gelu_tanh")
FEATURES = {
  "input_ids": "tokens_BS",
  "attention_mask": "packs_BS",
  "token_type_ids": "types_BS",
}


def run(session, batch, length=None):
  feed = {
    name: batch[ours][:, :length].astype(np.int64)
    for name, ours in FEATURES.items()
  }
  names = [each.name for each in session.get_outputs()]
  return dict(zip(names, session.run(None, feed), strict=True))


@pytest.mark.parametrize(
  ("architecture", "pooling", "config"),
  [(*each, SMALL) for each in HEADS if each[0] != CHOICE]
  + [(SEQUENCES, "cls", TANH)],
)
def test_a_graph_gives_what_the_model_gives(architecture, pooling, config):
  check_graph(make_params(architecture, config), config, architecture, pooling)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_choices_are_an_axis_of_the_inputs(pooling):
  params = make_params(CHOICE)
  model = make_model(params, SMALL, CHOICE, pooling)
  session = open_session(model)
  batch = ragged(6, 23)
  ours = compute(params, SMALL, CHOICE, pooling, batch)
  feed = {
    name: batch[ours].astype(np.int64).reshape(2, 3, 23)
    for name, ours in FEATURES.items()
  }
  (logits,) = session.run(["logits"], feed)
  np.testing.assert_allclose(
    logits, ours["logits"].reshape(2, 3), atol=1e-5, rtol=0
  )


def test_the_two_forms_of_gelu_are_told_apart():
  params = make_params(ENCODER)
  erf, tanh = (
    make_model(params, config, ENCODER).graph.node for config in (SMALL, TANH)
  )
  forms = [
    {
      onnx.helper.get_attribute_value(node.attribute[0])
      for node in nodes
      if node.op_type == "Gelu"
    }
    for nodes in (erf, tanh)
  ]
  assert forms == [{b"none"}, {b"tanh"}]


def test_names_and_axes_are_those_of_the_field():
  model = make_model(make_params(SEQUENCES), SMALL, SEQUENCES, "cls")
  shapes = {
    each.name: [
      axis.dim_param or axis.dim_value
      for axis in each.type.tensor_type.shape.dim
    ]
    for each in (*model.graph.input, *model.graph.output)
  }
  rows = ["batch_size", "sequence_length"]
  assert shapes == {
    **dict.fromkeys(FEATURES, rows),
    "logits": ["batch_size", 3],
  }
  kinds = {each.type.tensor_type.elem_type for each in model.graph.input}
  assert kinds == {onnx.TensorProto.INT64}
  stored = {each.name for each in model.graph.initializer}
  assert "bert.encoder.layer.1.attention.self.query.weight" in stored
  assert not any(name.startswith("cls.") for name in stored)


def test_a_row_that_is_too_long_is_an_error():
  session = open_session(make_model(make_params(ENCODER), SMALL, ENCODER))
  batch = {
    ours: np.ones((1, SMALL.max_positions + 1), np.int32)
    for ours in FEATURES.values()
  }
  with pytest.raises(Fail):
    run(session, batch)
  assert run(session, batch, SMALL.max_positions)["last_hidden_state"].any()


def test_what_has_no_graph_is_refused():
  params = make_params(SEQUENCES)
  with pytest.raises(
    ValueError, match="BertForMaskedLM with pooling='' has no"
  ):
    make_model(params, SMALL, "BertForMaskedLM")
  with pytest.raises(ValueError, match="pooling='max' has no ONNX graph; give"):
    make_model(params, SMALL, SEQUENCES, "max")
  del params["classifier"]
  with pytest.raises(ValueError, match="the parameters lack classifier"):
    make_model(params, SMALL, SEQUENCES, "cls")
