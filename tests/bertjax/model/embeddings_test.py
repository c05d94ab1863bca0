# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Three tables, added and normalized."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from bertjax.config import ComputeConfig
from bertjax.model.embeddings import Embeddings
from tests.testing.examples import SMALL, example, init_params, rows


def test_embeddings_equal_a_float64_derivation():
  """In packed rows, whose positions restart."""
  batch = rows([[example(9, 0), example(7, 1)], [example(14, 2)]], 18, 2)
  params = init_params()["encoder"]["embeddings"]
  output: Any = Embeddings(SMALL, ComputeConfig()).apply(
    {"params": params}, batch, deterministic=True
  )
  exact: Any = sum(
    params[name]["embedding"].astype(np.float64)[batch[feature]]
    for name, feature in (
      ("word", "tokens_BS"),
      ("position", "positions_BS"),
      ("type", "types_BS"),
    )
  )
  exact -= exact.mean(axis=-1, keepdims=True)
  exact /= np.sqrt((exact**2).mean(axis=-1, keepdims=True) + 1e-12)
  norm = params["layer_norm"]
  np.testing.assert_allclose(
    output, exact * norm["scale"] + norm["bias"], atol=1e-5, rtol=0
  )


def test_sinusoids_are_the_positions_of_every_seed():
  config = dataclasses.replace(SMALL, position_init="sinusoid")
  batch = rows([[example(8, 0)]], 8, 1)
  first, second = (
    nn.unbox(
      Embeddings(config, ComputeConfig()).init(
        jax.random.key(seed), batch, deterministic=True
      )
    )["params"]
    for seed in (0, 1)
  )
  equal = {
    name: np.array_equal(first[name]["embedding"], second[name]["embedding"])
    for name in ("word", "position", "type")
  }
  assert equal == {"word": False, "position": True, "type": False}
