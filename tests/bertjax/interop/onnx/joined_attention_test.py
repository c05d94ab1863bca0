# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A graph with the joined operator gives what the graph without it gives."""

import copy
import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest

from bertjax.interop.onnx.bert import make_model
from bertjax.interop.onnx.joined_attention import DOMAIN, join_attention
from bertjax.interop.onnx.running import run
from tests.testing.choices import CONFIGS
from tests.testing.examples import SMALL, ragged
from tests.testing.huggingface_models import make_params, random_params

KINDS = {
  "BertForSequenceClassification": "cls",
  "BertForTokenClassification": "",
  "BertForMultipleChoice": "mean",
}


def open_session(model):
  return onnxruntime.InferenceSession(model.SerializeToString())


@pytest.mark.parametrize("architecture", KINDS)
def test_outputs_of_real_positions_are_equal(architecture):
  params = make_params(architecture)
  model = make_model(params, SMALL, architecture, KINDS[architecture])
  joined = copy.deepcopy(model)
  join_attention(joined)
  batch = ragged(6, 23)
  found, expected = (run(open_session(each), batch) for each in (joined, model))
  is_real_BS = batch["packs_BS"] > 0
  assert found.keys() == expected.keys()
  for name, array in expected.items():
    by_token = array.shape[:2] == is_real_BS.shape
    where = is_real_BS if by_token else ...
    np.testing.assert_allclose(found[name][where], array[where], atol=1e-5)


def test_each_layer_has_one_operator_and_nothing_is_left_over():
  model = make_model(make_params("BertModel"), SMALL, "BertModel")
  sizes = [sum(len(each.raw_data) for each in model.graph.initializer)]
  join_attention(model)
  sizes.append(sum(len(each.raw_data) for each in model.graph.initializer))
  nodes = [node for node in model.graph.node if node.domain == DOMAIN]
  assert len(nodes) == SMALL.num_layers
  for node in nodes:
    heads = {each.name: each.i for each in node.attribute}
    assert heads["num_heads"] == SMALL.num_heads
  assert not any("query.product" in node.name for node in model.graph.node)
  # The parameters are the same; what shaped and scaled the states is gone.
  assert sizes[0] - 200 < sizes[1] < sizes[0]
  read = {name for node in model.graph.node for name in node.input}
  assert {each.name for each in model.graph.initializer} <= read
  onnx.checker.check_model(model)


@pytest.mark.parametrize(
  ("name", "joined", "groups"),
  [("albert", 4, 1), ("distilbert", 2, 2), ("modernbert", 0, 0), ("rms", 0, 0)],
)
def test_layers_with_rotations_or_windows_keep_their_nodes(
  name, joined, groups
):
  """And layers that share their weights share the joined ones."""
  config = CONFIGS[name]
  model = make_model(random_params("BertModel", config), config, "BertModel")
  before = copy.deepcopy(model)
  join_attention(model)
  operators = [node for node in model.graph.node if node.domain == DOMAIN]
  assert len(operators) == joined
  assert len({node.input[1] for node in operators}) == groups
  if not joined:
    assert model == before
    return
  batch = ragged(3, 23)
  found, expected = (run(open_session(each), batch) for each in (model, before))
  real_BS, name = batch["packs_BS"] > 0, "last_hidden_state"
  np.testing.assert_allclose(
    found[name][real_BS], expected[name][real_BS], atol=1e-5
  )


def test_of_layers_with_windows_those_without_one_are_joined():
  config = dataclasses.replace(
    SMALL,
    num_layers=3,
    use_bias=False,
    attention_pattern="window",
    attention_window=4,
    global_every=2,
  )
  model = make_model(random_params("BertModel", config), config, "BertModel")
  before = copy.deepcopy(model)
  join_attention(model)
  operators = [node for node in model.graph.node if node.domain == DOMAIN]
  assert [node.name.split(".")[3] for node in operators] == ["0", "2"]
  batch = ragged(3, 23)
  found, expected = (run(open_session(each), batch) for each in (model, before))
  real_BS, name = batch["packs_BS"] > 0, "last_hidden_state"
  np.testing.assert_allclose(
    found[name][real_BS], expected[name][real_BS], atol=1e-5
  )
