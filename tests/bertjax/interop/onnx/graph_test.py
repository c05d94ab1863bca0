# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs of a few nodes, run by the reference implementation of ONNX."""

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from bertjax.interop.onnx.graph import IR_VERSION, OPSET, Graph


def make_graph():
  graph = Graph({"table": np.eye(3, dtype=np.float32), "other": np.zeros(9)})
  rows = graph.add("Gather", "rows", "table", "ids")
  one = graph.constant(1, "float32")
  graph.add("Add", "sums", graph.add("Add", "more", rows, one), one)
  return graph


def test_a_graph_runs_and_names_its_axes():
  model = make_graph().finish({"ids": ("batch",)}, {"sums": ("batch", 3)})
  onnx.checker.check_model(model, full_check=True)
  run = ReferenceEvaluator(model)
  (sums,) = run.run(None, {"ids": np.array([2, 0])})
  np.testing.assert_array_equal(sums, np.eye(3)[[2, 0]] + 2)
  (given,) = model.graph.input
  axis = given.type.tensor_type.shape.dim[0]
  assert axis.dim_param == "batch"


def test_constants_are_stored_once_and_unread_parameters_not_at_all():
  model = make_graph().finish({"ids": ("batch",)}, {"sums": ("batch", 3)})
  stored = {each.name: each for each in model.graph.initializer}
  assert len(stored) == len(model.graph.initializer)
  assert sorted(stored) == ["float32:1.0", "table"]
  assert not stored["float32:1.0"].dims  # a number, not a vector of one


def test_the_file_format_is_the_one_of_the_operators():
  """A newer one would be refused by a runtime that has the operators."""
  versions = [row for row in onnx.helper.VERSION_TABLE if row[2] == OPSET]
  assert min(row[1] for row in versions) == IR_VERSION
  model = make_graph().finish({"ids": ("batch",)}, {"sums": ("batch", 3)})
  assert model.ir_version == IR_VERSION
  assert [(each.domain, each.version) for each in model.opset_import] == [
    ("", OPSET)
  ]


def test_the_width_of_a_parameter_is_its_last_axis():
  graph = Graph({"bias": np.zeros((2, 7))})
  assert graph.width("bias") == 7
