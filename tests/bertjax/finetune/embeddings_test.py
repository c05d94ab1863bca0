# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Each pooling is what its name says."""

import dataclasses

import jax
import numpy as np
import pytest

from bertjax.config import ComputeConfig, ModelConfig
from bertjax.finetune.embeddings import POOLINGS, embed_in_fixed_shapes
from bertjax.model.encoder import Encoder
from tests.testing import examples
from tests.testing.choices import CONFIGS
from tests.testing.windows import features_of

MODEL = ModelConfig(
  num_layers=5,
  hidden_size=32,
  num_heads=4,
  intermediate_size=64,
  vocab_size=120,
  max_positions=16,
)
LENGTH = 11


@pytest.fixture(scope="module")
def params():
  return examples.init_params(MODEL)


@pytest.fixture(scope="module")
def layers(params):
  """Hidden states after each layer, from encoders of fewer layers."""
  rows = features_of([LENGTH], LENGTH)

  def hidden(count):
    config = ModelConfig(**{**vars(MODEL), "num_layers": count})
    encoder = params["encoder"]
    cut = jax.tree.map(lambda leaf: leaf[:count], encoder["layers"])
    apply = jax.jit(
      lambda params: Encoder(config, ComputeConfig()).apply(
        {"params": params}, rows, deterministic=True
      )
    )
    return np.asarray(apply({**encoder, "layers": cut}))[0]

  return [hidden(count) for count in (2, 3, 4, 5)]


def test_poolings_are_over_the_tokens_of_the_text(params, layers):
  embed = embed_in_fixed_shapes(params, MODEL, POOLINGS, seq_length=16)
  found = embed.start(features_of([3, LENGTH], 16)).read()
  last_SD = layers[-1]
  wanted = {
    "cls": last_SD[0],
    "mean": last_SD.mean(axis=0),
    "max": last_SD.max(axis=0),
    "last4": np.mean(layers, axis=(0, 1)),
  }
  assert wanted.keys() == set(POOLINGS)
  for name, wanted_D in wanted.items():
    np.testing.assert_allclose(
      found[f"{name}_ND"][1], wanted_D, rtol=0, atol=1e-5
    )


def test_normalized_vectors_have_the_length_one(params):
  plain, normal = (
    embed_in_fixed_shapes(
      params, MODEL, ["max"], seq_length=16, normalize=normalize
    )
    .start(features_of([3, LENGTH], 16))
    .read()["max_ND"]
    for normalize in (False, True)
  )
  lengths_N1 = np.linalg.norm(plain, axis=1, keepdims=True)
  np.testing.assert_allclose(normal, plain / lengths_N1, rtol=1e-5)


def test_layers_that_share_weights_are_told_apart():
  """The mean of the last four is that of as many layers of their own."""
  shared = CONFIGS["groups"]
  own = dataclasses.replace(shared, layer_groups=0)
  params = examples.init_params(shared)
  repeated = jax.tree.map(
    lambda leaf: np.repeat(leaf, 2, axis=0), params["encoder"]["layers"]
  )
  unshared = {**params, "encoder": {**params["encoder"], "layers": repeated}}
  found, expected = (
    embed_in_fixed_shapes(each, config, ["last4"], seq_length=16)
    .start(features_of([3, LENGTH], 16))
    .read()["last4_ND"]
    for each, config in ((params, shared), (unshared, own))
  )
  np.testing.assert_allclose(found, expected, atol=1e-5)
