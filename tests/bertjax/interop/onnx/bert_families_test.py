# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs of every family, and of choices that no family makes."""

import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import (
  Fail,
  RuntimeException,
)

from bertjax.config import checks
from bertjax.interop.onnx.bert import make_model
from bertjax.interop.onnx.comparison import compute
from bertjax.interop.onnx.heads import HEADS
from tests.testing.choices import CONFIGS, small
from tests.testing.examples import ragged
from tests.testing.graphs import check_graph, open_session
from tests.testing.huggingface_models import random_params, steady_params

SEQUENCES, CHOICE = "BertForSequenceClassification", "BertForMultipleChoice"
OTHERS = sorted(CONFIGS.keys() - {"bert"})
# Every head of some family, and every family with some head; the others are
# left to the long tier.
SHORT = (
  ("albert", SEQUENCES, "cls"),
  ("distilbert", SEQUENCES, "cls"),
  ("modernbert", "BertForTokenClassification", ""),
  ("roberta", "BertModel", ""),
)


def random_config(seed):
  """A small encoder of choices that fit each other, but are of no family."""
  draw = np.random.default_rng(seed)

  def pick(*values):
    return values[draw.integers(len(values))]

  fields = {
    "hidden_size": pick(16, 24, 40),
    "num_heads": pick(1, 2, 4),
    "num_layers": 4,
    "type_vocab_size": pick(0, 1, 2),
    "sequence_head": pick("pooler", "relu", "norm"),
    "embedding_size": pick(0, 8),
    "activation": pick("gelu", "gelu_tanh", "silu", "relu"),
    "feed_forward": pick("mlp", "gated"),
    "use_bias": pick(True, False),
    "norm_position": pick("post", "pre"),
    "norm": pick("layer", "layer_without_bias", "rms"),
    "layer_norm_epsilon": 1e-3,
    "embedding_norm": pick(True, False),
    "positions": pick("learned", "sinusoidal", "rotary"),
  }
  if fields["norm_position"] == "pre" and fields["embedding_norm"]:
    fields["first_attention_norm"] = pick(True, False)
  if fields["positions"] == "learned":
    fields["position_offset"] = pick(0, 3)
  if fields["positions"] == "rotary":
    fields["rotary_base"] = pick(50.0, 10_000.0)
  if pick(True, False):
    fields["attention_pattern"] = "window"
    fields["attention_window"] = pick(2, 6, 30)
    fields["global_every"] = pick(2, 3, 9)
    if fields["positions"] == "rotary":
      fields["rotary_local_base"] = pick(0.0, 20.0)
  elif fields.get("first_attention_norm", True):
    fields["layer_groups"] = pick(0, 1, 2)
  config = small(fields)
  checks.check_model(config, seq_length=23, vocab_size=120)
  return config


def check(config, architecture, pooling):
  params = steady_params(architecture, config)
  check_graph(params, config, architecture, pooling)


@pytest.mark.parametrize(("name", "architecture", "pooling"), SHORT)
def test_a_graph_gives_what_the_model_gives(name, architecture, pooling):
  check(CONFIGS[name], architecture, pooling)


@pytest.mark.full
@pytest.mark.parametrize(
  ("name", "architecture", "pooling"),
  [
    (name, *head)
    for name in OTHERS
    for head in HEADS
    if head[0] != CHOICE and (name, *head) not in SHORT
    if CONFIGS[name].pooler or head != ("BertModel", "cls")
  ],
)
def test_any_head_of_any_family_is_a_graph(name, architecture, pooling):
  check(CONFIGS[name], architecture, pooling)


@pytest.mark.parametrize(
  "seed",
  [0, *(pytest.param(n, marks=pytest.mark.full) for n in range(1, 24))],
)
def test_any_choices_are_a_graph(seed):
  heads = [head for head in HEADS if head[0] != CHOICE]
  check(random_config(seed), *heads[seed % len(heads)])


@pytest.mark.parametrize("name", ["distilbert", "modernbert", "roberta"])
def test_types_that_are_not_read_are_no_input(name):
  config = CONFIGS[name]
  model = make_model(random_params("BertModel", config), config, "BertModel")
  inputs = [each.name for each in model.graph.input]
  assert inputs == ["input_ids", "attention_mask"]
  stored = {each.name for each in model.graph.initializer}
  assert ("bert.embeddings.token_type_embeddings.weight" in stored) == (
    name == "roberta"
  )


@pytest.mark.parametrize("name", OTHERS)
def test_a_row_that_is_too_long_is_an_error(name):
  config = CONFIGS[name]
  model = make_model(random_params("BertModel", config), config, "BertModel")
  session, longest = open_session(model), config.max_positions
  for length, fits in ((longest, True), (longest + 1, False)):
    row = {
      each.name: np.ones((1, length), np.int64) for each in session.get_inputs()
    }
    if fits:
      assert session.run(None, row)[0].shape == (1, longest, 32)
    else:
      with pytest.raises((Fail, RuntimeException)):
        session.run(None, row)


def test_choices_are_an_axis_also_where_there_are_no_types():
  config = CONFIGS["modernbert"]
  params = random_params(CHOICE, config)
  session = open_session(make_model(params, config, CHOICE, "cls"))
  batch = ragged(6, 23)
  feed = {
    "input_ids": batch["tokens_BS"].astype(np.int64).reshape(2, 3, 23),
    "attention_mask": batch["packs_BS"].astype(np.int64).reshape(2, 3, 23),
  }
  (logits,) = session.run(None, feed)
  ours = compute(params, config, CHOICE, "cls", batch)["logits"]
  np.testing.assert_allclose(logits, ours.reshape(2, 3), atol=1e-5, rtol=0)
