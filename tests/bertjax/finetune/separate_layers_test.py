# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A CPU computes the same without copies of weights."""

import re

import flax.linen as nn
import jax
import numpy as np
import pytest

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.finetune import separate_layers
from bertjax.model import BertForSequenceClassification
from tests.testing import windows

MODEL = ModelConfig(
  num_layers=3,
  hidden_size=64,
  num_heads=2,
  intermediate_size=256,
  vocab_size=64,
  max_positions=32,
  initializer_std=0.3,
)


def make(compute):
  model = BertForSequenceClassification(MODEL, compute, num_classes=3)

  def outputs(params, rows):
    stacked = separate_layers.stack(params)
    return model.apply({"params": stacked}, rows, deterministic=True)

  return model, jax.jit(outputs)


@pytest.fixture(scope="module")
def rows():
  return windows.features_of([11, 16, 3, 7], 16)


@pytest.fixture(scope="module")
def params(rows):
  model, _ = make(ComputeConfig())
  init = jax.jit(lambda key: model.init(key, rows, deterministic=True))
  made = nn.meta.unbox(init(jax.random.key(0))["params"])
  return jax.device_get(made)


def test_a_stack_is_what_was_separated(params):
  parts = separate_layers.separate(params)
  kernels = parts["encoder"]["layers"]["mlp_up"]["kernel"]
  assert [each.shape for each in kernels] == [(64, 256)] * 3
  jax.tree.map(
    np.testing.assert_array_equal, separate_layers.stack(parts), params
  )


def test_no_weight_is_copied_and_no_bit_changes(params, rows):
  assert separate_layers.helps()
  _, scanned = make(ComputeConfig())
  _, unrolled = make(separate_layers.unrolled(ComputeConfig(), 3))
  parts = separate_layers.separate(params)
  wanted, found = scanned(params, rows), unrolled(parts, rows)
  np.testing.assert_array_equal(found["logits_BRC"], wanted["logits_BRC"])
  before = scanned.lower(params, rows).compile().as_text() or ""
  after = unrolled.lower(parts, rows).compile().as_text() or ""
  for copies in (r" while\(", r"= f32\S+ dynamic-slice\("):
    assert re.search(copies, before), copies
    assert not re.search(copies, after), copies
  assert not re.search(r"= f32\S+ concatenate\(", after)
