# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Each layer moves as far as its distance from the head says."""

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.config import LayersConfig
from bertjax.optim.layerwise import scale_by_layer

LAYERS = 3
WORD = "encoder/embeddings/word/embedding"
UP = "encoder/layers/mlp_up/kernel"
HEAD = "classifier/dense/kernel"
PARAMS = {
  WORD: jnp.ones((5, 2)),
  UP: jnp.ones((LAYERS, 2, 4)),
  HEAD: jnp.ones((2, 3)),
}


def factors(config, steps=12):
  """{name: its factor at each step}; one for each layer where it is stacked."""
  scale = scale_by_layer(config, LAYERS, steps)
  state, found = scale.init(PARAMS), []
  for _ in range(steps):
    updates, state = jax.jit(scale.update)(PARAMS, state)
    found.append(
      {
        WORD: float(updates[WORD][0, 0]),
        UP: updates[UP][:, 0, 0].tolist(),
        HEAD: float(updates[HEAD][0, 0]),
      }
    )
  return found


def test_the_default_scales_nothing():
  assert factors(LayersConfig()) == [{WORD: 1.0, UP: [1.0] * 3, HEAD: 1.0}] * 12


def test_a_layer_has_the_rate_of_the_one_above_it_times_the_decay():
  first, *others = factors(LayersConfig(learning_rate_decay=0.5))
  assert first == {WORD: 0.0625, UP: [0.125, 0.25, 0.5], HEAD: 1.0}
  assert all(each == first for each in others)


def test_what_is_frozen_does_not_move():
  (first, *_) = factors(LayersConfig(frozen=2))
  assert first == {WORD: 0.0, UP: [0.0, 0.0, 1.0], HEAD: 1.0}
  (first, *_) = factors(LayersConfig(frozen_embeddings=True))
  assert first == {WORD: 0.0, UP: [1.0] * 3, HEAD: 1.0}


def test_layers_thaw_from_the_top():
  found = factors(LayersConfig(unfreezing_rate=2 / 3))
  moving = np.asarray([[each[WORD], *each[UP], each[HEAD]] for each in found])
  # Eight steps for four thaws: layer 2, 1, 0 and the embeddings.
  assert moving.sum(axis=1).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5]
  assert (np.diff(moving, axis=1) >= 0).all()
